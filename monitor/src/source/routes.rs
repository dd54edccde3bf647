//! The routes that a snapshot has.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    kernel::{Attachments, Found, Way, blocked_by_ipsec, route_to},
    observe::{FlowId, Flows, IPSEC_BLOCKS, Route, What},
};

/// How old an attempt is that the route of this moment can speak for: snapshots are a second apart.
const RECENT: SignedDuration = SignedDuration::from_secs(3);

/// Routes that are looked up for one snapshot.
const MOST_ROUTES: usize = 16;

/// Addresses of this host that a route is asked from, where that of the flow is not known.
const MOST_ADDRESSES: usize = 16;

/// Asks for routes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// How often `IPsec` had blocked something.
    blocked: Option<u64>,
    /// What it blocked the last time and no attempt was seen of.
    spare: u64,
    /// Attempts that had not begun, all together.
    not_begun: u64,
}

impl Routes {
    /// The routes to peers from a host with some addresses: of flows with attempts that did not begin just now,
    /// and of those that are asked for.
    pub(super) fn find(
        &mut self,
        attachments: &Attachments,
        addresses: &[IpAddr],
        asked: &BTreeSet<IpAddr>,
        flows: &Flows,
        now: Timestamp,
    ) -> BTreeMap<IpAddr, Route> {
        let is_recent = |at: Timestamp| now.duration_since(at) <= RECENT;
        let not_begun = flows.happened().filter(|(_, (what, _))| *what == What::NotBegun);
        let (mut urgent, mut times) = (BTreeSet::new(), 0);
        for (flow, (_, when)) in not_begun {
            times += when.times;
            if when.last.is_some_and(is_recent) {
                urgent.insert(flow.peer);
            }
        }
        let is_blocked = self.is_blocked(times);
        let own = own_addresses(flows, asked);
        let peers = urgent.iter().chain(asked.difference(&urgent)).take(MOST_ROUTES);
        let routes = peers.filter_map(|&peer| {
            let is_urgent = urgent.contains(&peer);
            let found = if is_urgent {
                route_to(&Way::to(peer))
            } else {
                route_back(peer, own.get(&peer).copied(), addresses)
            };
            match found {
                // The kernel asks the policy with the route, and gives one error for both.
                Ok(_) if is_urgent && is_blocked => {
                    Some((peer, Route::None { error: IPSEC_BLOCKS }))
                }
                Ok(Found { interface, gateway }) => {
                    let interface = attachments.name(interface);
                    Some((peer, Route::Out { interface, gateway }))
                }
                Err(error) => {
                    let error = u32::try_from(error.raw_os_error()?).ok()?;
                    Some((peer, Route::None { error }))
                }
            }
        });
        routes.collect()
    }

    /// Whether `IPsec` blocked at least as often as attempts did not begin, since the last time. It is read
    /// after the attempts, so an attempt of the next time can be among its.
    fn is_blocked(&mut self, not_begun: u64) -> bool {
        let blocked = blocked_by_ipsec();
        let before = std::mem::replace(&mut self.blocked, blocked);
        let attempts = not_begun.saturating_sub(std::mem::replace(&mut self.not_begun, not_begun));
        let times = blocked.zip(before).map_or(0, |(now, before)| now.saturating_sub(before));
        let all = times + std::mem::take(&mut self.spare);
        self.spare = all.saturating_sub(attempts).min(times);
        attempts > 0 && all >= attempts
    }
}

/// The addresses of this host in the last packets of flows that it dropped.
fn own_addresses(flows: &Flows, peers: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, IpAddr> {
    let mut own: BTreeMap<IpAddr, (Option<Timestamp>, IpAddr)> = BTreeMap::new();
    for (FlowId { peer, .. }, drop) in flows.dropped() {
        if let Some(address) = drop.own.filter(|_| peers.contains(peer)) {
            let known = own.entry(*peer).or_insert((drop.last, address));
            *known = (*known).max((drop.last, address));
        }
    }
    own.into_iter().map(|(peer, (_, address))| (peer, address)).collect()
}

/// The route to a peer from the address that it talks to. Where that is not known, there is none only if no
/// address of this host has one: each can have a table of its own.
fn route_back(peer: IpAddr, own: Option<IpAddr>, addresses: &[IpAddr]) -> io::Result<Found> {
    let from = |own: IpAddr| route_to(&Way { own: Some(own), ..Way::to(peer) });
    match own {
        Some(own) => from(own),
        None => route_to(&Way::to(peer)).or_else(|error| {
            let addresses = addresses.iter().filter(|it| it.is_ipv4() == peer.is_ipv4());
            let mut addresses = addresses.filter(|it| !it.is_loopback()).take(MOST_ADDRESSES);
            addresses.find_map(|own| from(*own).ok()).ok_or(error)
        }),
    }
}
