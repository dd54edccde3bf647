//! Throughput of the last minutes, for the status page.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::report::{Expectation, Report};

/// How far apart samples are.
const EVERY: SignedDuration = SignedDuration::from_secs(10);

/// How many samples are kept.
pub(super) const SAMPLES: usize = 60;

/// How long they reach back.
pub(super) const MINUTES: u32 = 10;

/// What tells an expectation: system, flow, side and group of peers.
type Key = (String, String, String, String);

/// The throughput of every expectation.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<Key, Samples>);

#[derive(Debug)]
struct Samples {
    last: (Timestamp, u64),
    rates: VecDeque<u64>,
}

impl History {
    /// Takes in a report. Expectations that it does not have are forgotten.
    pub(super) fn note(&mut self, report: &Report) {
        let mut before = std::mem::take(&mut self.0);
        for expectation in &report.expectations {
            let now = (report.taken, bytes(expectation));
            let key = key(expectation);
            let mut samples = before
                .remove(&key)
                .unwrap_or_else(|| Samples { last: now, rates: VecDeque::new() });
            samples.add(now);
            self.0.insert(key, samples);
        }
    }

    /// Bytes per second in both directions, the oldest first.
    pub(super) fn rates(&self, expectation: &Expectation) -> Vec<u64> {
        let samples = self.0.get(&key(expectation));
        samples.map(|samples| samples.rates.iter().copied().collect()).unwrap_or_default()
    }
}

impl Samples {
    fn add(&mut self, now: (Timestamp, u64)) {
        let passed = now.0.duration_since(self.last.0);
        if passed < EVERY {
            return;
        }
        let milliseconds = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let more = now.1.saturating_sub(self.last.1);
        self.rates.push_back(more.saturating_mul(1000) / milliseconds);
        if self.rates.len() > SAMPLES {
            self.rates.pop_front();
        }
        self.last = now;
    }
}

fn key(expectation: &Expectation) -> Key {
    let Expectation { system, flow, side, peer_group, .. } = expectation;
    (system.clone(), flow.clone(), side.clone(), peer_group.clone())
}

fn bytes(expectation: &Expectation) -> u64 {
    let peers = expectation.evidence.peers.iter();
    peers.map(|peer| peer.received.bytes + peer.transmitted.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_and_the_oldest_are_forgotten() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut samples = Samples { last: (at(0), 1000), rates: VecDeque::new() };
        samples.add((at(9), 5000));
        assert!(samples.rates.is_empty());
        samples.add((at(10), 6000));
        assert_eq!(samples.rates, [500]);
        for second in 11..1000 {
            samples.add((at(second), 6000));
        }
        assert_eq!((samples.rates.len(), samples.rates.iter().sum::<u64>()), (SAMPLES, 0));
    }
}
