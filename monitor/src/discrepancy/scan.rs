//! Port scans: what a scanner does is no use of a flow and no failure of one.
//!
//! A peer scans where it asks for several services of this host within a minute and uses none of them, three or
//! half of them services that nobody is expected to ask for here. A peer whose services are all down asks only for those that
//! it is expected to use, and asks again and again: that is no scan.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use crate::{
    expect::Matcher,
    observe::{AttemptEnd, FlowId, Side, Snapshot, Tally, Transport},
};

/// Within which time services are asked for.
pub(super) const WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// How many services a scanner asks for.
const SERVICES: usize = 4;
/// How many of them nobody is expected to ask for; or half of them.
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
    let is_asked = |flow: &FlowId| flow.side == Side::Server && !flow.loopback;
    // Lists, since a flood has as many peers as the map has flows.
    let (mut asked, mut used) = (Vec::new(), Vec::new());
    for (flow, (end, ended)) in snapshot.flows.ended_attempts().filter(|(flow, _)| is_asked(flow)) {
        if *end == AttemptEnd::Completed {
            used.push((flow.peer, *flow));
        } else if ended.last.is_some_and(is_recent) {
            asked.push((flow.peer, *flow));
        }
    }
    for (flow, open) in snapshot.flows.open_attempts().filter(|(flow, _)| is_asked(flow)) {
        if is_recent(open.last) {
            asked.push((flow.peer, *flow));
        }
    }
    for (flow, wire) in snapshot.flows.wire().filter(|(flow, _)| is_asked(flow)) {
        let is_silent = flow.transport == Transport::Udp && wire.transmitted.packets == 0;
        if is_silent && wire.last_received.is_some_and(is_recent) {
            asked.push((flow.peer, *flow));
        }
    }
    used.sort_unstable();
    asked.sort_unstable();
    asked.dedup();
    asked.retain(|flow| used.binary_search(flow).is_err());
    let is_unmatched =
        |(_, flow): &&(IpAddr, FlowId)| matcher.matches(flow, &Tally::default()).is_empty();
    let by_peer = asked.chunk_by(|one, other| one.0 == other.0);
    let scans = by_peer.filter(|flows| {
        let unmatched = flows.iter().filter(is_unmatched).count();
        flows.len() >= SERVICES && (unmatched >= UNMATCHED || 2 * unmatched >= flows.len())
    });
    let scanner = |flows: &[(IpAddr, FlowId)]| {
        flows.first().map(|(peer, _)| Scanner { peer: *peer, ports: flows.len() })
    };
    scans.filter_map(scanner).collect()
}
