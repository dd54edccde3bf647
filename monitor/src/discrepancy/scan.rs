//! Port scans: what a scanner does is no use of a flow and no failure of one.
//!
//! A peer scans where it asks for many services of this host within a minute and uses none of them, among them
//! services that nobody is expected to ask for here. A peer whose services are all down asks only for those that
//! it is expected to use, and asks again and again: that is no scan.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    expect::Matcher,
    observe::{AttemptEnd, FlowId, Side, Snapshot, Tally, Transport},
};

/// Within which time services are asked for.
pub(super) const WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// How many services a scanner asks for.
const SERVICES: usize = 10;
/// How many of them nobody is expected to ask for.
const UNMATCHED: usize = 3;

/// A peer that scans this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Its address.
    pub peer: IpAddr,
    /// How many documented ports it asked for in the last minute.
    pub ports: usize,
}

/// The peers that scan this host now.
pub(super) fn scanners(snapshot: &Snapshot, matcher: &Matcher<'_>) -> Vec<Scanner> {
    let now = snapshot.taken;
    let is_recent = |at: Timestamp| now.duration_since(at) <= WITHIN;
    let mut asked: BTreeMap<IpAddr, BTreeSet<FlowId>> = BTreeMap::new();
    let mut note = |flow: &FlowId| _ = asked.entry(flow.peer).or_default().insert(*flow);
    let is_asked = |flow: &FlowId| flow.side == Side::Server && !flow.loopback;
    let mut used: BTreeSet<FlowId> = BTreeSet::new();
    for (flow, (end, ended)) in snapshot.flows.ended_attempts().filter(|(flow, _)| is_asked(flow)) {
        if *end == AttemptEnd::Completed {
            used.insert(*flow);
        } else if ended.last.is_some_and(is_recent) {
            note(flow);
        }
    }
    for (flow, open) in snapshot.flows.open_attempts().filter(|(flow, _)| is_asked(flow)) {
        if is_recent(open.last) {
            note(flow);
        }
    }
    for (flow, wire) in snapshot.flows.wire().filter(|(flow, _)| is_asked(flow)) {
        let is_silent = flow.transport == Transport::Udp && wire.transmitted.packets == 0;
        if is_silent && wire.last_received.is_some_and(is_recent) {
            note(flow);
        }
    }
    let is_unmatched = |flow: &&FlowId| matcher.matches(flow, &Tally::default()).is_empty();
    let scans =
        asked.into_iter().map(|(peer, flows)| (peer, &flows - &used)).filter(|(_, flows)| {
            flows.len() >= SERVICES && flows.iter().filter(is_unmatched).count() >= UNMATCHED
        });
    scans.map(|(peer, flows)| Scanner { peer, ports: flows.len() }).collect()
}
