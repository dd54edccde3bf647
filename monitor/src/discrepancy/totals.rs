//! What is added up over all peers of an expectation.

use std::collections::BTreeMap;

use super::Difference;
use crate::observe::{AttemptEnd, IcmpKind, Outcome, Tally};

/// What the hooks besides the wire counted for an expectation.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Packets that this host dropped, by the kernel's reason.
    pub dropped: BTreeMap<String, u64>,
    /// ICMP errors, by whether this host received them and what they say.
    pub icmp: BTreeMap<(bool, IcmpKind), u64>,
    /// What became of attempts to connect, as the wire shows it.
    pub attempts: BTreeMap<AttemptEnd, u64>,
    /// Attempts that were not followed.
    pub attempts_not_followed: u64,
    /// What became of connections.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Segments that this host sent again.
    pub retransmitted: u64,
    /// Packets that got lost between the device and the sockets.
    pub difference: Difference,
}

impl Totals {
    pub(super) fn take_in(&mut self, tally: &Tally, difference: Difference) {
        for drop in &tally.dropped {
            match self.dropped.get_mut(&*drop.reason) {
                Some(packets) => *packets += drop.packets,
                None => _ = self.dropped.insert(drop.reason.to_string(), drop.packets),
            }
        }
        for errors in &tally.icmp {
            *self.icmp.entry((errors.received, errors.kind)).or_default() += errors.packets;
        }
        for (end, ended) in &tally.attempts.ended {
            *self.attempts.entry(*end).or_default() += ended.times;
        }
        self.attempts_not_followed += tally.attempts.odd.not_followed;
        for (outcome, happened) in &tally.outcomes {
            *self.outcomes.entry(*outcome).or_default() += happened.times;
        }
        self.retransmitted += tally.retransmitted.times;
        self.difference.received += difference.received;
        self.difference.transmitted += difference.transmitted;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (reason, packets) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += packets;
        }
        for (kind, packets) in &other.icmp {
            *self.icmp.entry(*kind).or_default() += packets;
        }
        for (end, times) in &other.attempts {
            *self.attempts.entry(*end).or_default() += times;
        }
        self.attempts_not_followed += other.attempts_not_followed;
        for (outcome, times) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += times;
        }
        self.retransmitted += other.retransmitted;
        self.difference.received += other.difference.received;
        self.difference.transmitted += other.difference.transmitted;
    }
}
