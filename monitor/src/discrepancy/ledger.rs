//! Keeps what each expectation's verdict is, and since when.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use jiff::Timestamp;

use super::{
    Attempt, Cause, DEFAULT_WINDOW, Failure, Memory, Stuck, Track, Verdict, evidence,
    memory::Memories,
    past::{Pasts, Until},
    presence::{alternatives, alternatives_in_use},
    session::{self, Sessions},
    totals::Totals,
    verdict::{Gathered, Sight},
    watch::Watch,
};
use crate::{
    config::Peer,
    expect::{Expectation, Key, Match, Matcher, Names, Standing, Stranger},
    observe::{Counters, Drop, FlowId, IcmpErrors, Route, Snapshot, Tally, Transport, add},
};

/// Unexpected flows that are kept apart; what goes beyond is only counted.
const MOST_UNEXPECTED: usize = 100;

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
    /// Peers whose attempts fail, worst first.
    pub failing: Vec<Failing>,
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
    /// The verdict and the cause for this peer.
    pub said: (Verdict, Cause),
    /// Where the attempts were seen.
    pub interface: Option<String>,
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
    /// Its counts, since it is not covered.
    pub tally: Tally,
}

/// The memory between snapshots.
#[derive(Debug)]
pub struct Ledger {
    sight: Sight,
    /// A snapshot was taken in.
    begun: bool,
    tracks: HashMap<FlowId, Track>,
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

/// What the ledger says after a snapshot.
#[derive(Debug)]
pub struct Assessment {
    /// One for each expectation, in their order; `None` for the legacy ones, which are not expected.
    pub judgements: Vec<Option<Judgement>>,
    /// Flows that no expectation covers, newest first, at most a hundred.
    pub unexpected: Vec<Unexpected>,
    /// How many there are in all.
    pub unexpected_total: usize,
    /// Since when it has been watched without a break.
    pub watched_since: Timestamp,
}

impl Ledger {
    /// An empty ledger of a monitor that started to watch at a moment.
    pub fn new(started: Timestamp) -> Self {
        Self {
            sight: Sight::new(Watch::new(started), 0),
            begun: false,
            tracks: HashMap::new(),
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
            if is_new {
                track.forget_until(self.judged_until);
            }
            let mut matches = matcher.matches(flow, tally);
            let success = track.last_success;
            let stuck = self.sessions.stuck(flow, track);
            let lost = self.pasts.follow(flow, tally, success, expectations, &mut matches);
            let failing = failing(flow, tally, track, stuck, snapshot);
            for found in &matches {
                gathered[found.expectation].take_in(*found, flow, tally, track, failing.as_ref());
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
        let Gathered { failing, successes, .. } = &mut gathered;
        failing.retain(|failing| !is_other_address(expectation, failing, successes, now));
        failing.sort_by_key(|failing| {
            let Failing { flow, failure, said: (verdict, _), .. } = failing;
            (Reverse(*verdict), failure.since, *flow)
        });
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
            failing: gathered.failing,
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
        let begun = gathered.failing.iter().map(|failing| failing.failure.since).min();
        match self.verdicts.get(&expectation.key) {
            Some((old, old_cause, since)) if (*old, *old_cause) == (verdict, cause) => *since,
            _ => {
                let since = begun.unwrap_or(now);
                self.verdicts.insert(expectation.key.clone(), (verdict, cause, since));
                since
            }
        }
    }
}

/// Whether an address without a route belongs to a name of which another address works: programs try one
/// after the other, and a host without IPv6 has no route to half of them.
fn is_other_address(
    expectation: &Expectation,
    failing: &Failing,
    successes: &BTreeMap<Option<usize>, Timestamp>,
    now: Timestamp,
) -> bool {
    let listed = expectation.peers.listed().unwrap_or_default();
    let is_name =
        failing.peer.is_some_and(|index| matches!(listed.get(index), Some(Peer::Name(_))));
    is_name
        && matches!(failing.failure.attempt, Attempt::NotSent { .. })
        && successes.get(&failing.peer).is_some_and(|&at| now.duration_since(at) <= DEFAULT_WINDOW)
}

/// What is said of a flow whose peer was known by a name that has another address now.
fn moved(lost: &[(Match, &Until)]) -> Option<Stranger> {
    let (found, _) = lost.first()?;
    Some(Stranger { nearest: found.expectation, cause: Cause::AddressChanged })
}

impl PeerCounts {
    fn take_in(&mut self, tally: &Tally, mirrored: bool) {
        let (received, transmitted) = if mirrored {
            (&tally.transmitted, &tally.received)
        } else {
            (&tally.received, &tally.transmitted)
        };
        add(&mut self.received, received);
        add(&mut self.transmitted, transmitted);
        let (received, transmitted) = if mirrored {
            (&tally.socket_transmitted, &tally.socket_received)
        } else {
            (&tally.socket_received, &tally.socket_transmitted)
        };
        add(&mut self.socket_received, received);
        add(&mut self.socket_transmitted, transmitted);
        self.last_seen = self.last_seen.max(tally.last_seen());
    }
}

impl Gathered {
    /// Takes in what was counted while the peer had another address.
    fn take_in_past(&mut self, found: Match, until: &Until) {
        let counts = self.counts.entry(found.peer).or_default();
        counts.take_in(&until.tally, found.mirrored);
        self.succeed(found, until.last_success);
    }

    fn succeed(&mut self, found: Match, success: Option<Timestamp>) {
        if let Some(success) = success {
            let last = self.successes.entry(found.peer).or_insert(success);
            *last = success.max(*last);
        }
    }

    fn take_in(
        &mut self,
        found: Match,
        flow: &FlowId,
        tally: &Tally,
        track: &Track,
        failing: Option<&Failing>,
    ) {
        let counts = self.counts.entry(found.peer).or_default();
        counts.take_in(tally, found.mirrored);
        self.peers_seen += usize::from(tally.last_seen().is_some());
        self.succeed(found, track.last_success);
        if flow.transport == Transport::Udp && track.last_success.is_none() {
            self.one_way = self.one_way.max(tally.last_seen());
        }
        self.totals.take_in(tally, track.difference());
        let failing = failing.cloned().map(|failing| Failing { peer: found.peer, ..failing });
        self.failing.extend(failing);
    }
}

/// What is wrong with a flow: its attempts fail, or open sessions of it are stuck.
fn failing(
    flow: &FlowId,
    tally: &Tally,
    track: &Track,
    sessions: Vec<Stuck>,
    snapshot: &Snapshot,
) -> Option<Failing> {
    let route = snapshot.routes.get(&flow.peer);
    let judge =
        |failure: &Failure| evidence::judge(flow, failure, tally, &snapshot.listeners, route);
    let attempts = track.failing().map(|failure| (failure, judge(&failure)));
    let (failure, said) = attempts.or_else(|| session::failure(&sessions))?;
    Some(Failing {
        flow: *flow,
        failure,
        said,
        interface: tally.interface.clone(),
        dropped: tally.dropped.clone(),
        icmp: tally.icmp.clone(),
        route: route.cloned(),
        peer: None,
        sessions,
    })
}
