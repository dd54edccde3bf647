//! What the flows of one expectation add up to.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Attempt, DEFAULT_WINDOW, Failing, Failure, PeerCounts, Stuck, Track, Verdict, evidence,
    fallback, past::Until, session, totals::Totals, worst::Worst,
};
use crate::{
    config::Peer,
    expect::{Expectation, Match},
    observe::{FlowId, Snapshot, Tally, Transport, add},
};

/// What is gathered for one expectation, or a group of them, while the flows are gone through.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    pub(super) counts: BTreeMap<Option<usize>, PeerCounts>,
    pub(super) failing: Worst,
    /// Addresses of names that fail.
    of_names: Vec<Failing>,
    /// When another address of each name was last seen to work, by the peer's index.
    working: BTreeMap<usize, Timestamp>,
    /// When each peer's flow was last seen to work.
    pub(super) successes: BTreeMap<Option<usize>, Timestamp>,
    /// When this flow or an alternative to it was last seen to work.
    pub(super) alternative: Option<Timestamp>,
    pub(super) one_way: Option<Timestamp>,
    /// When this host last had an answer from a machine that may be a peer, of which no name is known.
    pub(super) with_unknown: Option<Timestamp>,
    /// When attempts were last not followed.
    pub(super) not_followed: Option<Timestamp>,
    /// When a datagram last came that may be an answer, or a question of the other end.
    pub(super) crossed: Option<Timestamp>,
    pub(super) peers_seen: usize,
    pub(super) totals: Totals,
}

impl Gathered {
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.successes.values().max().copied()
    }

    /// Takes in what was counted while the peer had another address.
    pub(super) fn take_in_past(&mut self, found: Match, until: &Until) {
        let counts = self.counts.entry(found.peer).or_default();
        counts.take_in(&until.tally, found.mirrored);
        self.succeed(found.peer, until.last_success);
    }

    pub(super) fn succeed(&mut self, peer: Option<usize>, success: Option<Timestamp>) {
        if let Some(success) = success {
            let last = self.successes.entry(peer).or_insert(success);
            *last = success.max(*last);
        }
    }

    pub(super) fn take_in(&mut self, found: Match, flow: &FlowId, tally: &Tally, track: &Track) {
        let counts = self.counts.entry(found.peer).or_default();
        counts.take_in(tally, found.mirrored);
        self.peers_seen += usize::from(tally.wire.last_seen().is_some());
        self.succeed(found.peer, track.last_success);
        self.not_followed = self.not_followed.max(track.last_not_followed());
        if flow.transport == Transport::Udp && track.last_success.is_none() && !track.is_scanned() {
            self.one_way = self.one_way.max(tally.wire.last_seen());
        }
        self.totals.take_in(tally, track.difference());
    }

    /// Takes in a flow that does not fail.
    pub(super) fn work(
        &mut self,
        found: Match,
        success: Option<Timestamp>,
        expectation: &Expectation,
    ) {
        if let (Some(index), Some(success)) = (found.peer, success)
            && is_name(index, expectation)
        {
            let last = self.working.entry(index).or_insert(success);
            *last = success.max(*last);
        }
    }

    /// Takes in a failing flow.
    pub(super) fn fail(&mut self, failing: &Failing, found: Match, expectation: &Expectation) {
        let of_name = found.peer.is_some_and(|index| is_name(index, expectation));
        if of_name && failing.sessions.is_empty() {
            self.of_names.push(Failing { peer: found.peer, ..failing.clone() });
        } else {
            self.failing.add(failing, found.peer);
        }
    }

    /// Once all is taken in: an address fails unless another address of its name works. Gives one that
    /// fails so.
    pub(super) fn settle(&mut self, now: Timestamp) -> Option<Failing> {
        let mut spare = None;
        for failing in std::mem::take(&mut self.of_names) {
            let success = self.successes.get(&failing.peer);
            let is_unsent = matches!(failing.failure.attempt, Attempt::NotSent { .. });
            let working = failing.peer.and_then(|index| self.working.get(&index).copied());
            // A host without IPv6 has no route to half of the addresses, and knows that at once.
            if is_unsent && success.is_some_and(|&at| now.duration_since(at) <= DEFAULT_WINDOW) {
                continue;
            }
            if fallback::is_spare(&failing.failure, working, now) {
                spare.get_or_insert(failing);
            } else {
                self.failing.add(&failing, failing.peer);
            }
        }
        spare
    }
}

fn is_name(index: usize, expectation: &Expectation) -> bool {
    let listed = expectation.peers.listed().unwrap_or_default();
    matches!(listed.get(index), Some(Peer::Name(_)))
}

impl PeerCounts {
    pub(super) fn take_in(&mut self, tally: &Tally, mirrored: bool) {
        let Tally { wire, sockets, .. } = tally;
        let (received, transmitted) = if mirrored {
            (&wire.transmitted, &wire.received)
        } else {
            (&wire.received, &wire.transmitted)
        };
        add(&mut self.received, received);
        add(&mut self.transmitted, transmitted);
        let (received, transmitted) = if mirrored {
            (&sockets.transmitted, &sockets.received)
        } else {
            (&sockets.received, &sockets.transmitted)
        };
        add(&mut self.socket_received, received);
        add(&mut self.socket_transmitted, transmitted);
        self.last_seen = self.last_seen.max(wire.last_seen());
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.received, &other.received);
        add(&mut self.transmitted, &other.transmitted);
        add(&mut self.socket_received, &other.socket_received);
        add(&mut self.socket_transmitted, &other.socket_transmitted);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// What is wrong with a flow: its attempts fail, or open sessions of it are stuck.
pub(super) fn failing(
    flow: &FlowId,
    tally: &Tally,
    track: &Track,
    sessions: Vec<Stuck>,
    snapshot: &Snapshot,
) -> Option<Failing> {
    let route = snapshot.routes.get(&flow.peer);
    let judge =
        |failure: &Failure| evidence::judge(flow, failure, tally, &snapshot.listeners, route);
    let attempts = track.failing(tally).map(|(failure, share)| {
        let (verdict, cause) = judge(&failure);
        // Some attempts succeed.
        let verdict = if share.is_some() { Verdict::Degraded } else { verdict };
        (failure, share, (verdict, cause))
    });
    let (failure, share, said) = attempts.or_else(|| {
        let (failure, said) = session::failure(&sessions)?;
        Some((failure, None, said))
    })?;
    Some(Failing {
        flow: *flow,
        failure,
        share,
        said,
        interface: tally.wire.interface.clone(),
        dropped: tally.dropped.clone(),
        icmp: tally.icmp.clone(),
        route: route.cloned(),
        peer: None,
        sessions,
    })
}
