//! Keeps what each expectation's verdict is, and since when.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use jiff::Timestamp;

use super::{
    Assessment, Cause, DEFAULT_WINDOW, Judgement, Memory, PeerCounts, Track, Unexpected, Verdict,
    gathered::{Gathered, failing},
    memory::Memories,
    past::{Pasts, Until},
    presence::{alternatives, alternatives_in_use},
    session::Sessions,
    totals::Totals,
    verdict::Sight,
    watch::Watch,
};
use crate::{
    expect::{Expectation, Key, Match, Matcher, Names, Standing, Stranger},
    observe::{FlowId, Snapshot},
};

/// Unexpected flows that are kept apart; what goes beyond is only counted.
const MOST_UNEXPECTED: usize = 100;

/// The memory between snapshots.
#[derive(Debug)]
pub struct Ledger {
    sight: Sight,
    /// A snapshot was taken in.
    begun: bool,
    tracks: BTreeMap<FlowId, Track>,
    sessions: Sessions,
    pasts: Pasts,
    verdicts: HashMap<Key, (Verdict, Option<Cause>, Timestamp)>,
    strangers: HashMap<FlowId, Timestamp>,
    retired: HashMap<(Key, Option<usize>), PeerCounts>,
    retired_totals: HashMap<Key, Totals>,
    memories: Memories,
    /// Up to when an earlier run had said what counts mean.
    judged_until: Option<Timestamp>,
}

impl Ledger {
    /// An empty ledger of a monitor that started to watch at a moment.
    pub fn new(started: Timestamp) -> Self {
        Self {
            sight: Sight::new(Watch::new(started), 0),
            begun: false,
            tracks: BTreeMap::new(),
            sessions: Sessions::default(),
            pasts: Pasts::default(),
            verdicts: HashMap::new(),
            strangers: HashMap::new(),
            retired: HashMap::new(),
            retired_totals: HashMap::new(),
            memories: Memories::default(),
            judged_until: None,
        }
    }

    /// The ledger of a run that goes on where an earlier one ended.
    pub fn resume(memory: Memory, started: Timestamp) -> Self {
        let Memory { watch, flow_map_full, expectations } = memory;
        Self {
            judged_until: Some(watch.until),
            sight: Sight::new(watch.resume(started), flow_map_full),
            memories: Memories::of(expectations),
            ..Self::new(started)
        }
    }

    /// Notes the time before each reading of the counts: more than a minute without one was not watched.
    pub fn wake(&mut self, now: Timestamp) {
        self.sight.watch.wake(now);
    }

    /// What the next run goes on with.
    pub fn memory(&self) -> Memory {
        Memory {
            watch: self.sight.watch.clone(),
            flow_map_full: self.sight.flow_map_full,
            expectations: self.memories.remembered(),
        }
    }

    /// Takes in a snapshot, and says what follows for every expectation.
    pub fn assess(
        &mut self,
        snapshot: &Snapshot,
        expectations: &[Expectation],
        names: &Names,
    ) -> Assessment {
        let now = snapshot.taken;
        let matcher = Matcher::new(expectations, names);
        let is_first = !std::mem::replace(&mut self.begun, true);
        let compares = snapshot.compares_layers();
        self.memories.follow(expectations, self.sight.watch.until);
        self.sight.note(snapshot);
        self.sessions.advance(snapshot);
        self.retire(snapshot, expectations, &matcher);

        let mut gathered: Vec<Gathered> =
            expectations.iter().map(|expectation| self.start(expectation)).collect();
        let mut unexpected = Vec::new();
        for (flow, tally) in &snapshot.flows {
            let is_new = !self.tracks.contains_key(flow);
            let track =
                self.tracks.entry(*flow).or_insert_with(|| Track::of(flow, tally, is_first));
            let route = snapshot.routes.get(&flow.peer);
            track.advance(flow, tally, route, self.sight.sees_handshakes, now);
            if !compares {
                track.pause_layers();
            }
            if is_new {
                track.forget_until(self.judged_until);
            }
            let mut matches = matcher.matches(flow, tally);
            let success = track.last_success;
            let stuck = self.sessions.stuck(flow, track);
            let lost = self.pasts.follow(flow, tally, success, expectations, &mut matches);
            let failing = failing(flow, tally, track, stuck, snapshot);
            for found in &matches {
                let gathered = &mut gathered[found.expectation];
                gathered.take_in(*found, flow, tally, track);
                if let Some(failing) = &failing {
                    gathered.fail(failing, *found, &expectations[found.expectation]);
                }
            }
            for (found, until) in &lost {
                gathered[found.expectation].take_in_past(*found, until);
            }
            let before = lost.iter().map(|(_, until)| &until.tally).max_by_key(|t| t.packets());
            if matches.is_empty()
                && before.is_none_or(|before| tally.packets() > before.packets())
                && let Some(stranger) = moved(&lost).or_else(|| matcher.stranger(flow, tally))
                && tally.last_seen().is_some_and(|seen| now.duration_since(seen) <= DEFAULT_WINDOW)
            {
                unexpected.push(Unexpected {
                    flow: *flow,
                    nearest: expectations[stranger.nearest].key.clone(),
                    cause: stranger.cause,
                    since: *self.strangers.entry(*flow).or_insert(now),
                    tally: before.map_or_else(|| tally.clone(), |before| tally.since(before)),
                });
            }
        }
        let still: BTreeSet<FlowId> = unexpected.iter().map(|stranger| stranger.flow).collect();
        self.strangers.retain(|flow, _| still.contains(flow));
        unexpected.sort_by_key(|stranger| Reverse(stranger.tally.last_seen()));
        let unexpected_total = unexpected.len();
        unexpected.truncate(MOST_UNEXPECTED);

        let in_use = alternatives_in_use(expectations, &gathered);
        let judgements = expectations
            .iter()
            .zip(gathered)
            .map(|(expectation, mut gathered)| {
                gathered.alternative = in_use.get(&alternatives(expectation)).copied();
                (expectation.standing == Standing::Expected)
                    .then(|| self.judge(expectation, gathered, names, now))
            })
            .collect();
        let watched_since = self.sight.watch.run_since();
        Assessment { judgements, unexpected, unexpected_total, watched_since }
    }

    /// Whether open sessions have to be looked at, even where nothing new happens.
    pub fn follows_sessions(&self) -> bool {
        self.sessions.follows()
    }

    /// Every label of an expectation, with what was counted for flows that have left the map.
    fn start(&self, expectation: &Expectation) -> Gathered {
        let labels: Vec<Option<usize>> = match expectation.peers.listed() {
            None => vec![None],
            Some(peers) => (0..peers.len()).map(Some).collect(),
        };
        let retired = |label| {
            let key = (expectation.key.clone(), label);
            self.retired.get(&key).copied().unwrap_or_default()
        };
        let mut gathered = Gathered {
            counts: labels.into_iter().map(|label| (label, retired(label))).collect(),
            totals: self.retired_totals.get(&expectation.key).cloned().unwrap_or_default(),
            ..Gathered::default()
        };
        for (label, seen) in
            self.memories.kept.get(&expectation.key).iter().flat_map(|kept| &kept.seen)
        {
            let counts = gathered.counts.entry(*label).or_default();
            counts.last_seen = counts.last_seen.max(seen.last_seen);
            gathered.successes.extend(seen.last_success.map(|success| (*label, success)));
        }
        gathered
    }

    /// Keeps the counts of flows that left the map, so that no total falls.
    fn retire(&mut self, snapshot: &Snapshot, expectations: &[Expectation], matcher: &Matcher<'_>) {
        for (flow, tally) in &snapshot.evicted {
            let track = self.tracks.remove(flow).unwrap_or_default();
            let mut matches = matcher.matches(flow, tally);
            let lost = self.pasts.follow(flow, tally, None, expectations, &mut matches);
            let lost = lost.into_iter().map(|(found, until)| (found, &until.tally));
            for (found, tally) in matches.into_iter().map(|found| (found, tally)).chain(lost) {
                let key = expectations[found.expectation].key.clone();
                self.retired_totals
                    .entry(key.clone())
                    .or_default()
                    .take_in(tally, track.difference());
                let counts = self.retired.entry((key, found.peer)).or_default();
                counts.take_in(tally, found.mirrored);
            }
            self.pasts.remove(flow);
        }
    }

    fn judge(
        &mut self,
        expectation: &Expectation,
        mut gathered: Gathered,
        names: &Names,
        now: Timestamp,
    ) -> Judgement {
        gathered.settle(now);
        let kept = self.memories.kept.get_mut(&expectation.key);
        let watched = kept.map_or(now, |kept| {
            kept.take_in(&gathered, now);
            kept.since
        });
        let (verdict, cause, reason) =
            self.sight.verdict(expectation, &gathered, names, watched, now);
        let since = self.since(expectation, &gathered, (verdict, cause), now);
        Judgement {
            verdict,
            cause,
            reason,
            since,
            last_seen: gathered.counts.values().filter_map(|counts| counts.last_seen).max(),
            last_success: gathered.last_success(),
            failing: gathered.failing.kept,
            failing_total: gathered.failing.total,
            totals: gathered.totals,
            peers_seen: gathered.peers_seen,
            counts: gathered.counts,
        }
    }

    /// Since when the verdict stands: since the first failed attempt, or since it was first said.
    fn since(
        &mut self,
        expectation: &Expectation,
        gathered: &Gathered,
        (verdict, cause): (Verdict, Option<Cause>),
        now: Timestamp,
    ) -> Timestamp {
        match self.verdicts.get(&expectation.key) {
            Some((old, old_cause, since)) if (*old, *old_cause) == (verdict, cause) => *since,
            _ => {
                let since = gathered.failing.since.unwrap_or(now);
                self.verdicts.insert(expectation.key.clone(), (verdict, cause, since));
                since
            }
        }
    }
}

/// What is said of a flow whose peer was known by a name that has another address now.
fn moved(lost: &[(Match, &Until)]) -> Option<Stranger> {
    let (found, _) = lost.first()?;
    Some(Stranger { nearest: found.expectation, cause: Cause::AddressChanged })
}
