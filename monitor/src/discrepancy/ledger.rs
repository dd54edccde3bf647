//! Keeps what each expectation's verdict is, and since when.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    Assessment, Attempt, Failing, Judgement, Memory, PeerCounts,
    carried::{Carrier, LEFT_OUT, Now},
    datagrams::crossed,
    fallback,
    gathered::{Gathered, failing},
    memory::Memories,
    one_way::{self, Deliveries},
    past::Pasts,
    presence::{alternatives, alternatives_in_use},
    reported,
    scan::scanners,
    session::Sessions,
    strangers::{Found, Strangers},
    totals::Totals,
    track::Track,
    tracks::Tracks,
    verdict::Sight,
    watch::Watch,
};
use crate::{
    config::Peer,
    expect::{Expectation, Key, Matcher, Names, Standing, is_to_all},
    observe::{FlowId, Side, Snapshot},
};

/// The memory between snapshots.
#[derive(Debug)]
pub struct Ledger {
    sight: Sight,
    tracks: Tracks,
    sessions: Sessions,
    pasts: Pasts,
    deliveries: Deliveries,
    /// Names that may stand for addresses that are not known.
    changing: BTreeSet<String>,
    reported: reported::All,
    strangers: Strangers,
    retired: HashMap<Key, Retired>,
    memories: Memories,
    carrier: Carrier,
}

/// What was counted for flows that left the map, by the peer's index.
#[derive(Debug, Default)]
struct Retired {
    counts: BTreeMap<Option<usize>, PeerCounts>,
    totals: Totals,
}

impl Ledger {
    /// An empty ledger of a monitor that started to watch at a moment.
    pub fn new(started: Timestamp) -> Self {
        Self {
            sight: Sight::new(Watch::new(started), 0),
            tracks: Tracks::default(),
            sessions: Sessions::default(),
            pasts: Pasts::default(),
            deliveries: Deliveries::default(),
            changing: BTreeSet::new(),
            reported: reported::All::default(),
            strangers: Strangers::default(),
            retired: HashMap::new(),
            memories: Memories::default(),
            carrier: Carrier::default(),
        }
    }

    /// The ledger of a run that goes on where an earlier one ended.
    pub fn resume(memory: Memory, started: Timestamp) -> Self {
        let Memory { watch, flow_map_full, expectations, carried } = memory;
        let reported =
            expectations.iter().filter_map(|known| Some((known.key.clone(), known.reported?)));
        let reported = reported::All::resume(reported);
        let (carrier, tracks, sessions) = Carrier::resume(carried, watch.until);
        let mut watch = watch.resume(started);
        if carrier.left_out {
            watch.advance(started, Some(LEFT_OUT.to_owned()));
        }
        Self {
            reported,
            sight: Sight::new(watch, flow_map_full),
            memories: Memories::of(expectations),
            carrier,
            tracks,
            sessions,
            ..Self::new(started)
        }
    }

    /// Notes the time before each reading of the counts: more than a minute without one was not watched.
    pub fn wake(&mut self, now: Timestamp) {
        self.sight.watch.wake(now);
    }

    /// The clock was set by so much: what fails is as old as it was.
    pub fn set_clock(&mut self, by: SignedDuration) {
        self.tracks.set_clock(by);
        self.sessions.set_clock(by);
        self.reported.set_clock(by);
        self.strangers.set_clock(by);
    }

    /// Notes of which names each answer gives other addresses.
    pub fn note_changing(&mut self, names: BTreeSet<String>) {
        self.changing = names;
    }

    /// What the next run goes on with.
    pub fn memory(&self) -> Memory {
        Memory {
            watch: self.sight.watch.clone(),
            flow_map_full: self.sight.flow_map_full,
            expectations: self.memories.remembered(&self.reported),
            carried: Some(self.carrier.carried(&self.tracks, &self.sessions)),
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
        let compares = snapshot.compares_layers();
        let judged_until = self.tracks.judged_until;
        self.memories.follow(expectations, self.sight.watch.until);
        self.sight.note(snapshot);
        let carrier = &self.carrier;
        self.sessions.advance(snapshot, |flow| carrier.tally(flow, snapshot));
        self.retire(snapshot, expectations, &matcher);

        let scanners = scanners(snapshot, &matcher);
        let groups = fallback::groups(expectations);
        let mut seen: Vec<Gathered> = expectations.iter().map(|_| Gathered::default()).collect();
        let mut unexpected = Vec::new();
        let mut carried = Now::of(snapshot);
        for (flow, tally) in self.carrier.flows(snapshot) {
            let (flow, tally) = (&flow, &tally);
            let track = self.tracks.follow(flow, tally, snapshot, compares);
            let scans = scanners.iter().any(|scanner| scanner.peer == flow.peer);
            track.judge_use(scans && flow.side == Side::Server, now);
            let has_failed = track.has_failed(now);
            let mut matches = matcher.matches(flow, tally);
            let success = track.last_success;
            let stuck = self.sessions.stuck(flow, track);
            let lost = self.pasts.follow(flow, tally, success, expectations, &mut matches);
            let is_scanned = track.is_scanned();
            let is_silent = |it: &Failing| it.failure.attempt == Attempt::Silent;
            let failing = failing(flow, tally, track, stuck, snapshot)
                .filter(|it| !(is_silent(it) && is_to_all(flow)));
            for found in &matches {
                seen[found.expectation].take_in(*found, flow, tally, track);
            }
            let crossed = failing.as_ref().filter(|it| is_silent(it)).and_then(|it| {
                let turned = self.carrier.tally(flow.turned(), snapshot)?.wire;
                let answered = self.tracks.get(&flow.turned()).map_or(0, Track::answered);
                crossed(flow, &it.failure, &turned, answered)
            });
            let failing = failing.filter(|_| crossed.is_none());
            for found in &matches {
                let (seen, expectation) =
                    (&mut seen[found.expectation], &expectations[found.expectation]);
                let mut is_over = false;
                if expectation.one_way {
                    let delivered = self.deliveries.follow(flow, tally, judged_until, now);
                    seen.succeed(found.peer, delivered);
                    is_over = failing.as_ref().is_some_and(|it| {
                        is_silent(it) || one_way::is_over(&it.failure, delivered)
                    });
                } else {
                    seen.crossed = crossed.max(seen.crossed);
                }
                if let Some(failing) = &failing
                    && failing.sessions.is_empty()
                    && !is_over
                {
                    let last_success = |flow: &FlowId| self.tracks.get(flow)?.last_success;
                    let worked = fallback::worked_otherwise(
                        failing,
                        expectation,
                        expectations,
                        &groups,
                        last_success,
                    );
                    is_over = fallback::is_over(&failing.failure, worked, now);
                }
                match &failing {
                    Some(failing) if !is_over => seen.fail(failing, *found, expectation),
                    _ => seen.work(*found, success, expectation),
                }
            }
            if matches.is_empty() && lost.is_empty() && !self.changing.is_empty() {
                for index in matcher.on_port_of(flow) {
                    if has_name(&expectations[index], &self.changing) {
                        seen[index].with_unknown = success.max(seen[index].with_unknown);
                    }
                }
            }
            for (found, until) in &lost {
                seen[found.expectation].take_in_past(*found, until);
            }
            if matches.is_empty() && !is_scanned {
                unexpected.extend(Found::of(flow, tally, &lost, &matcher, now));
            }
            if has_failed && !matches.is_empty() {
                carried.keep(*flow, snapshot, &self.carrier);
            }
        }
        self.tracks.end_snapshot();
        self.carrier.advance(carried);
        let unexpected_total = unexpected.len();
        let unexpected = self.strangers.follow(unexpected, snapshot, expectations);

        let gathered: Vec<Gathered> = expectations
            .iter()
            .enumerate()
            .map(|(index, expectation)| self.all_of(expectation, &seen[matcher.group(index)]))
            .collect();
        drop(seen);
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
        Assessment { judgements, unexpected, unexpected_total, scanners, watched_since }
    }

    /// Whether open sessions have to be looked at, even where nothing new happens.
    pub fn follows_sessions(&self) -> bool {
        self.sessions.follows()
    }

    /// All that is known of an expectation: what its group's flows add up to, and what was known of it
    /// before. Every label of its peers is there.
    fn all_of(&self, expectation: &Expectation, seen: &Gathered) -> Gathered {
        let mut all = seen.clone();
        match expectation.peers.listed() {
            None => _ = all.counts.entry(None).or_default(),
            Some(peers) => {
                for index in 0..peers.len() {
                    all.counts.entry(Some(index)).or_default();
                }
            }
        }
        if let Some(retired) = self.retired.get(&expectation.key) {
            all.totals.add(&retired.totals);
            for (label, counts) in &retired.counts {
                all.counts.entry(*label).or_default().add(counts);
            }
        }
        let kept = self.memories.kept.get(&expectation.key);
        for (label, seen) in kept.into_iter().flat_map(|kept| &kept.seen) {
            let counts = all.counts.entry(*label).or_default();
            counts.last_seen = counts.last_seen.max(seen.last_seen);
            all.succeed(*label, seen.last_success);
        }
        all
    }

    /// Keeps the counts of flows that left the map, so that no total falls.
    fn retire(&mut self, snapshot: &Snapshot, expectations: &[Expectation], matcher: &Matcher<'_>) {
        let mut gone: BTreeMap<usize, Retired> = BTreeMap::new();
        for (flow, tally) in &snapshot.evicted {
            let tally = &self.carrier.remove(flow, tally, snapshot);
            let track = self.tracks.remove(flow);
            let mut matches = matcher.matches(flow, tally);
            let lost = self.pasts.follow(flow, tally, None, expectations, &mut matches);
            let lost = lost.into_iter().map(|(found, until)| (found, &until.tally));
            for (found, tally) in matches.into_iter().map(|found| (found, tally)).chain(lost) {
                let gone = gone.entry(found.expectation).or_default();
                gone.totals.take_in(tally, track.difference());
                gone.counts.entry(found.peer).or_default().take_in(tally, found.mirrored);
            }
            self.pasts.remove(flow);
            self.deliveries.remove(flow);
        }
        if gone.is_empty() {
            return;
        }
        for (index, expectation) in expectations.iter().enumerate() {
            let Some(gone) = gone.get(&matcher.group(index)) else { continue };
            let retired = self.retired.entry(expectation.key.clone()).or_default();
            retired.totals.add(&gone.totals);
            for (label, counts) in &gone.counts {
                retired.counts.entry(*label).or_default().add(counts);
            }
        }
    }

    fn judge(
        &mut self,
        expectation: &Expectation,
        mut gathered: Gathered,
        names: &Names,
        now: Timestamp,
    ) -> Judgement {
        let spare = gathered.settle(now);
        let kept = self.memories.kept.get_mut(&expectation.key);
        let watched = kept.map_or(now, |kept| {
            kept.take_in(&gathered, now);
            kept.since
        });
        let (verdict, cause, reason) =
            self.sight.verdict(expectation, &gathered, names, watched, now);
        let reason = reason.or_else(|| Some(fallback::spare_address(expectation, &spare?)));
        let first_failed = gathered.failing.since;
        let since = self.reported.since(&expectation.key, (verdict, cause), first_failed, now);
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
}

fn has_name(expectation: &Expectation, names: &BTreeSet<String>) -> bool {
    let mut listed = expectation.peers.listed().unwrap_or_default().iter();
    listed.any(|peer| matches!(peer, Peer::Name(name) if names.contains(name)))
}
