//! When the monitor watched, and when it did not.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest break that does not count: a restart, or an upgrade.
const RESTART: SignedDuration = SignedDuration::from_secs(60);

/// What is said of a time in which new flows found no room.
pub(super) const MAP_FULL: &str = "the flow map was full, new flows were not counted";

/// The same where a part of the map was kept for peers that are named one by one.
pub(super) const MAP_FULL_FOR_OTHERS: &str =
    "the flow map had no room for new flows of peers that are not named one by one";

/// How long after the last flow that found no room the map is taken for full.
const FULL_FOR: SignedDuration = SignedDuration::from_mins(1);

/// Blind times that are kept apart; the oldest ones become one, with what is between them.
const MOST_BLIND: usize = 64;

/// A time without sight: nothing can be concluded from what was not seen in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blindness {
    /// When it began.
    pub since: Timestamp,
    /// When it was last so.
    pub until: Timestamp,
    /// Why, `None` where the monitor did not run.
    pub reason: Option<String>,
}

/// The time that a monitor has watched, over all of its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// When the first run began.
    pub since: Timestamp,
    /// When the counts were last read.
    pub until: Timestamp,
    /// When it was blind, the oldest first.
    pub blind: Vec<Blindness>,
}

impl Watch {
    /// A first run, which begins at a moment.
    pub(super) const fn new(started: Timestamp) -> Self {
        Self { since: started, until: started, blind: Vec::new() }
    }

    /// Another run, which begins at a moment.
    pub(super) fn resume(mut self, started: Timestamp) -> Self {
        self.wake(started);
        self.until = started;
        self
    }

    /// The same run goes on. One that stood still had no sight: the host slept, or its clock was wrong
    /// and is set now.
    pub(super) fn wake(&mut self, now: Timestamp) {
        if now.duration_since(self.until) > RESTART {
            self.add(Blindness { since: self.until, until: now, reason: None });
            self.until = now;
        } else if self.until.duration_since(now) > RESTART {
            self.set_back(now);
        }
    }

    /// The clock is set back: what lies ahead of it never was.
    fn set_back(&mut self, now: Timestamp) {
        self.since = self.since.min(now);
        self.until = now;
        self.blind.retain(|blindness| blindness.since < now);
        for blindness in &mut self.blind {
            blindness.until = blindness.until.min(now);
        }
    }

    /// Takes in what was not seen since the counts were last read.
    pub(super) fn advance(&mut self, now: Timestamp, fault: Option<String>) {
        if fault.is_some() {
            let since = self.until.min(now);
            self.add(Blindness { since, until: now, reason: fault });
        }
        self.until = now;
    }

    fn add(&mut self, blindness: Blindness) {
        match self.blind.last_mut() {
            Some(last) if last.reason == blindness.reason && last.until >= blindness.since => {
                last.until = last.until.max(blindness.until);
            }
            _ => self.blind.push(blindness),
        }
        if self.blind.len() > MOST_BLIND {
            let oldest = self.blind.remove(0);
            if let Some(next) = self.blind.first_mut() {
                next.since = oldest.since;
            }
        }
    }

    /// Since when it has run without a break.
    pub(super) fn run_since(&self) -> Timestamp {
        let breaks = self.blind.iter().filter(|blindness| blindness.reason.is_none());
        breaks.map(|blindness| blindness.until).max().unwrap_or(self.since)
    }

    /// The last time without sight while it ran: when it ended, and why it was so.
    pub(super) fn last_fault(&self, is_kept: bool) -> Option<(Timestamp, &str)> {
        self.faults(is_kept).max_by_key(|(until, _)| *until)
    }

    /// The same for what is said of flows that are seen. A map that has room again hides none: those that were
    /// in it were counted all the time, and the others are from their next packet.
    pub(super) fn last_fault_but_full(
        &self,
        is_kept: bool,
        now: Timestamp,
    ) -> Option<(Timestamp, &str)> {
        let has_room = |until| now.duration_since(until).abs() > FULL_FOR;
        let is_full = |why| [MAP_FULL, MAP_FULL_FOR_OTHERS].contains(&why);
        let faults =
            self.faults(is_kept).filter(|(until, why)| !is_full(*why) || !has_room(*until));
        faults.max_by_key(|(until, _)| *until)
    }

    /// Those that hide flows for which a place in the map is kept, or for which none is.
    fn faults(&self, is_kept: bool) -> impl Iterator<Item = (Timestamp, &str)> {
        let faults = self.blind.iter().filter_map(|b| Some((b.until, b.reason.as_deref()?)));
        faults.filter(move |(_, why)| !is_kept || *why != MAP_FULL_FOR_OTHERS)
    }

    /// Whether all of a time was watched.
    pub(super) fn covers(&self, time: &Range<Timestamp>) -> bool {
        let is_blind = |b: &Blindness| b.since < time.end && b.until > time.start;
        self.since <= time.start && time.end <= self.until && !self.blind.iter().any(is_blind)
    }

    /// Whether no time lies after a moment, and none ends before it began.
    pub(super) fn is_sound(&self, latest: Timestamp) -> bool {
        let spans = self.blind.iter().map(|b| (b.since, b.until));
        let mut spans = spans.chain([(self.since, self.until)]);
        spans.all(|(since, until)| since <= until && until <= latest)
    }
}
