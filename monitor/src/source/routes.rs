//! The routes that a snapshot has.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    kernel::{Attachments, Found, route_to},
    observe::{Flows, Route, What},
};

/// How old an attempt is that the route of this moment can speak for: snapshots are a second apart.
const RECENT: SignedDuration = SignedDuration::from_secs(3);

/// Routes that are looked up for one snapshot.
const MOST_ROUTES: usize = 16;

/// The routes to peers: of flows with attempts that did not begin just now, and of those that are asked
/// for.
pub(super) fn routes(
    attachments: &Attachments,
    asked: &BTreeSet<IpAddr>,
    flows: &Flows,
    now: Timestamp,
) -> BTreeMap<IpAddr, Route> {
    let is_recent = |at: Timestamp| now.duration_since(at) <= RECENT;
    let not_begun = flows
        .happened()
        .filter(|(_, (what, when))| *what == What::NotBegun && when.last.is_some_and(is_recent));
    let urgent: BTreeSet<IpAddr> = not_begun.map(|(flow, _)| flow.peer).collect();
    let peers = urgent.iter().chain(asked.difference(&urgent)).take(MOST_ROUTES);
    let routes = peers.filter_map(|&peer| match route_to(peer) {
        Ok(Found { interface, gateway }) => {
            let interface = attachments.name(interface);
            Some((peer, Route::Out { interface, gateway }))
        }
        Err(error) => {
            let error = u32::try_from(error.raw_os_error()?).ok()?;
            Some((peer, Route::None { error }))
        }
    });
    routes.collect()
}
