//! The failing peers of an expectation: all are counted, and the worst ones kept.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{Failing, Verdict};
use crate::observe::FlowId;

/// Failing peers that are kept of one expectation.
pub const MOST_FAILING: usize = 8;

/// Failing peers, however many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Worst {
    /// The worst ones, worst first.
    pub(super) kept: Vec<Failing>,
    pub(super) total: usize,
    /// When the first attempt of any of them failed.
    pub(super) since: Option<Timestamp>,
}

impl Worst {
    pub(super) fn add(&mut self, failing: &Failing, peer: Option<usize>) {
        let since = failing.failure.since;
        self.total += 1;
        self.since = Some(self.since.map_or(since, |first| first.min(since)));
        let place = self.kept.partition_point(|other| rank(other) < rank(failing));
        if place < MOST_FAILING {
            self.kept.truncate(MOST_FAILING - 1);
            self.kept.insert(place, Failing { peer, ..failing.clone() });
        }
    }
}

fn rank(failing: &Failing) -> (Reverse<Verdict>, Timestamp, FlowId) {
    let Failing { flow, failure, said: (verdict, _), .. } = failing;
    (Reverse(*verdict), failure.since, *flow)
}
