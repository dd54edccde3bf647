//! Flows that no expectation covers, and since when each of them is known.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use jiff::{SignedDuration, Timestamp};

use super::{Cause, DEFAULT_WINDOW, Unexpected, moved_by, past::Until};
use crate::{
    expect::{Expectation, Match, Matcher, Stranger},
    observe::{FlowId, Snapshot, Tally, Wire},
};

/// Unexpected flows that are kept apart; what goes beyond is only counted.
const MOST: usize = 100;

/// When each of them was first noticed.
#[derive(Debug, Default)]
pub(super) struct Strangers(HashMap<FlowId, Timestamp>);

/// One that a snapshot has.
#[derive(Debug)]
pub(super) struct Found {
    flow: FlowId,
    stranger: Stranger,
    last_seen: Timestamp,
    /// What was seen since its peer had another address, where it was expected before.
    since: Option<Box<Wire>>,
}

impl Found {
    /// What a flow is that nothing expects, and that belonged to these before: a stranger, if it was seen lately and
    /// after it belonged to them.
    pub(super) fn of(
        flow: &FlowId,
        tally: &Tally,
        lost: &[(Match, &Until)],
        matcher: &Matcher<'_>,
        now: Timestamp,
    ) -> Option<Self> {
        let wire = &tally.wire;
        let past = lost.iter().map(|(_, until)| &until.tally.wire);
        let before = past.max_by_key(|wire| wire.packets());
        if before.is_some_and(|before| wire.packets() <= before.packets()) {
            return None;
        }
        let is_late = |seen: &Timestamp| now.duration_since(*seen) <= DEFAULT_WINDOW;
        let last_seen = wire.last_seen().filter(is_late)?;
        let stranger = moved(lost).or_else(|| matcher.stranger(flow, tally))?;
        let since = before.map(|before| Box::new(wire.since(before)));
        Some(Self { flow: *flow, stranger, last_seen, since })
    }
}

/// What is said of a flow whose peer was known by a name that has another address now.
fn moved(lost: &[(Match, &Until)]) -> Option<Stranger> {
    let (found, _) = lost.first()?;
    Some(Stranger { nearest: found.expectation, cause: Cause::AddressChanged })
}

impl Strangers {
    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.0.values_mut().for_each(|since| *since = moved_by(*since, by));
    }

    /// Those that were seen last, each with when it was first noticed.
    pub(super) fn follow(
        &mut self,
        mut found: Vec<Found>,
        snapshot: &Snapshot,
        expectations: &[Expectation],
    ) -> Vec<Unexpected> {
        let now = snapshot.taken;
        let still: BTreeSet<FlowId> = found.iter().map(|found| found.flow).collect();
        self.0.retain(|flow, _| still.contains(flow));
        for flow in still {
            self.0.entry(flow).or_insert(now);
        }
        found.sort_by_key(|found| Reverse(found.last_seen));
        found.truncate(MOST);
        let unexpected = found.into_iter().filter_map(|Found { flow, stranger, since, .. }| {
            Some(Unexpected {
                flow,
                nearest: expectations[stranger.nearest].key.clone(),
                cause: stranger.cause,
                since: self.0.get(&flow).copied().unwrap_or(now),
                wire: since.map(|wire| *wire).or_else(|| Some(snapshot.flows.get(flow)?.wire))?,
            })
        });
        unexpected.collect()
    }
}
