//! What outlives a run of the monitor.

use std::collections::{BTreeMap, BTreeSet};

use catalog::Ports;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Carried, Reported, gathered::Gathered, reported, watch::Watch};
use crate::expect::{Expectation, Key, Peers};

/// How far a time may lie ahead of the clock, which is set now and then.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What a ledger hands over to the one of the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// When the monitor watched.
    pub watch: Watch,
    /// Flows that did not fit into the map since counting began.
    pub flow_map_full: u64,
    /// What was seen of each expectation.
    pub expectations: Vec<Remembered>,
    /// Flows that fail, and those that failed a while ago.
    #[serde(default)]
    pub carried: Option<Carried>,
}

/// What was seen of an expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The expectation.
    pub key: Key,
    /// Its service ports.
    pub ports: BTreeSet<Ports>,
    /// Since when it has been expected with these ports and peers.
    pub since: Timestamp,
    /// Its peers: as they are listed, or one without a name for anyone.
    pub peers: Vec<PeerSeen>,
    /// The discrepancy that is reported.
    #[serde(default)]
    pub reported: Option<Reported>,
}

/// When a peer was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSeen {
    /// The peer as it is listed.
    pub peer: Option<String>,
    /// When.
    pub seen: Seen,
}

/// When something was last seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// When a packet was last seen.
    pub last_seen: Option<Timestamp>,
    /// When the flow was last seen to work.
    pub last_success: Option<Timestamp>,
}

impl Memory {
    /// Why it cannot be of an earlier run; `None` if it can.
    pub fn fault(&self, now: Timestamp) -> Option<String> {
        let latest = now.checked_add(AHEAD).unwrap_or(now);
        let times = self.expectations.iter().flat_map(|remembered| {
            let seen = remembered.peers.iter().map(|peer| peer.seen);
            let times = seen.flat_map(|seen| [seen.last_seen, seen.last_success]);
            times.flatten().chain([remembered.since])
        });
        let is_sound = self.watch.is_sound(latest) && times.max().is_none_or(|at| at <= latest);
        (!is_sound).then(|| format!("its times do not fit together, or lie after {now}"))
    }
}

/// What a ledger keeps of all expectations, and what an earlier run had seen of them.
#[derive(Debug, Default)]
pub(super) struct Memories {
    pub(super) kept: BTreeMap<Key, Kept>,
    before: BTreeMap<Key, Remembered>,
}

impl Memories {
    /// Those of an earlier run.
    pub(super) fn of(remembered: Vec<Remembered>) -> Self {
        let before = remembered.into_iter().map(|known| (known.key.clone(), known));
        Self { kept: BTreeMap::new(), before: before.collect() }
    }

    /// Those for the next run, with the discrepancies that are reported.
    pub(super) fn remembered(&self, reported: &reported::All) -> Vec<Remembered> {
        let all = self.kept.iter();
        let remembered = |(key, kept): (_, &Kept)| Remembered {
            reported: reported.discrepancy(key),
            ..kept.remembered(key)
        };
        all.map(remembered).collect()
    }

    /// Keeps what was seen of those expectations that there are at a moment, and of no others.
    pub(super) fn follow(&mut self, expectations: &[Expectation], now: Timestamp) {
        for expectation in expectations {
            let key = &expectation.key;
            let kept = match self.kept.get(key) {
                Some(kept) if kept.is_of(expectation) => continue,
                Some(kept) => Kept::of(expectation, &kept.remembered(key), now),
                None => match self.before.remove(key) {
                    Some(known) => Kept::of(expectation, &known, now),
                    None => Kept::new(expectation, now),
                },
            };
            self.kept.insert(key.clone(), kept);
        }
        if self.kept.len() > expectations.len() {
            let expected: BTreeSet<&Key> = expectations.iter().map(|other| &other.key).collect();
            self.kept.retain(|key, _| expected.contains(key));
        }
        self.before.clear();
    }
}

/// What a ledger keeps of an expectation.
#[derive(Debug)]
pub(super) struct Kept {
    ports: BTreeSet<Ports>,
    peers: Peers,
    /// Since when it has been expected with these ports and peers.
    pub(super) since: Timestamp,
    /// By the peer's index in the list.
    pub(super) seen: BTreeMap<Option<usize>, Seen>,
}

impl Kept {
    /// Of an expectation that is new at a moment.
    fn new(expectation: &Expectation, now: Timestamp) -> Self {
        let Expectation { ports, peers, .. } = expectation;
        Self { ports: ports.clone(), peers: peers.clone(), since: now, seen: BTreeMap::new() }
    }

    /// Whether the expectation has the same ports and peers as before.
    fn is_of(&self, expectation: &Expectation) -> bool {
        self.ports == expectation.ports && self.peers == expectation.peers
    }

    /// Of an expectation that may have had other peers before. What was seen on other ports is
    /// forgotten.
    fn of(expectation: &Expectation, before: &Remembered, now: Timestamp) -> Self {
        let mut kept = Self::new(expectation, now);
        if before.ports != expectation.ports {
            return kept;
        }
        let labels = labels(&expectation.peers);
        if before.peers.iter().map(|known| &known.peer).eq(labels.iter().map(|(_, label)| label)) {
            kept.since = before.since;
        }
        for (index, label) in labels {
            let known = before.peers.iter().find(|known| known.peer == label);
            kept.seen.extend(known.map(|known| (index, known.seen)));
        }
        kept
    }

    /// The same for another run.
    fn remembered(&self, key: &Key) -> Remembered {
        let labels = labels(&self.peers).into_iter();
        let peers = labels.map(|(index, peer)| {
            let seen = self.seen.get(&index).copied().unwrap_or_default();
            PeerSeen { peer, seen }
        });
        Remembered {
            key: key.clone(),
            ports: self.ports.clone(),
            since: self.since,
            peers: peers.collect(),
            reported: None,
        }
    }

    /// Keeps what was gathered. Times that are yet to come, by a clock that was set back, are not.
    pub(super) fn take_in(&mut self, gathered: &Gathered, now: Timestamp) {
        let past = |at: Option<Timestamp>| at.filter(|&at| at <= now);
        self.seen = gathered
            .counts
            .iter()
            .map(|(&index, counts)| {
                let last_success = past(gathered.successes.get(&index).copied());
                (index, Seen { last_seen: past(counts.last_seen), last_success })
            })
            .collect();
    }
}

/// The labels of an expectation's peers, by their index.
fn labels(peers: &Peers) -> Vec<(Option<usize>, Option<String>)> {
    match peers.listed() {
        None => vec![(None, None)],
        Some(peers) => {
            let labels = peers.iter().enumerate();
            labels.map(|(index, peer)| (Some(index), Some(peer.to_string()))).collect()
        }
    }
}
