//! What the ledger says: of each expectation, and of flows that none covers.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Cause, Failure, Scanner, Share, Stuck, Totals, Verdict};
use crate::{
    expect::Key,
    observe::{Counters, Drop, FlowId, IcmpErrors, Route, Wire},
};

/// What is said of one expectation.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The cause of a discrepancy.
    pub cause: Option<Cause>,
    /// Why nothing more can be said, where that is so.
    pub reason: Option<String>,
    /// Since when the verdict stands.
    pub since: Timestamp,
    /// When a packet of the flow was last seen.
    pub last_seen: Option<Timestamp>,
    /// When the flow was last seen to work.
    pub last_success: Option<Timestamp>,
    /// Peers whose attempts fail, worst first, at most [`MOST_FAILING`](super::MOST_FAILING).
    pub failing: Vec<Failing>,
    /// How many there are in all.
    pub failing_total: usize,
    /// Peers seen.
    pub peers_seen: usize,
    /// What the hooks besides the wire counted.
    pub totals: Totals,
    /// Counts by the peer's index in the expectation's list; those of an open group under `None`.
    pub counts: BTreeMap<Option<usize>, PeerCounts>,
}

/// A peer whose attempts fail.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The flow with it.
    pub flow: FlowId,
    /// What was seen of the attempts.
    pub failure: Failure,
    /// How many of its attempts failed, where some succeed.
    pub share: Option<Share>,
    /// The verdict and the cause for this peer.
    pub said: (Verdict, Cause),
    /// Where the attempts were seen.
    pub interface: Option<Arc<str>>,
    /// What the kernel dropped of the flow.
    pub dropped: Vec<Drop>,
    /// ICMP errors about packets of the flow.
    pub icmp: Vec<IcmpErrors>,
    /// The route to the peer, where it was asked for.
    pub route: Option<Route>,
    /// Index of the peer in the expectation's list, `None` where the group is open.
    pub peer: Option<usize>,
    /// Its open sessions that stopped working, the first one first.
    pub sessions: Vec<Stuck>,
}

/// What was counted for the peers under one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// From the peers to this host.
    pub received: Counters,
    /// From this host to the peers.
    pub transmitted: Counters,
    /// What sockets of this host got.
    pub socket_received: Counters,
    /// What sockets of this host sent.
    pub socket_transmitted: Counters,
    /// When a packet was last seen.
    pub last_seen: Option<Timestamp>,
}

/// A flow that no expectation covers.
#[derive(Clone, Debug)]
pub struct Unexpected {
    /// The flow.
    pub flow: FlowId,
    /// The expectation it comes nearest to.
    pub nearest: Key,
    /// Why it is not covered.
    pub cause: Cause,
    /// When it was first noticed.
    pub since: Timestamp,
    /// What was seen of it on the wire, since it is not covered.
    pub wire: Wire,
}

/// What the ledger says after a snapshot.
#[derive(Debug)]
pub struct Assessment {
    /// One for each expectation, in their order; `None` for the legacy ones, which are not expected.
    pub judgements: Vec<Option<Judgement>>,
    /// Flows that no expectation covers, newest first, at most a hundred.
    pub unexpected: Vec<Unexpected>,
    /// How many there are in all.
    pub unexpected_total: usize,
    /// Peers that scan this host: what they do is neither use nor failure.
    pub scanners: Vec<Scanner>,
    /// Since when it has been watched without a break.
    pub watched_since: Timestamp,
}
