//! What the attempts of one flow add up to over time: all fail, some fail, none fails.
//!
//! 1. An attempt that fails, while none has succeeded since, is a *run* of failures: `blocked` or
//!    `refused`, at once.
//! 2. A success after the run ends it, at once.
//! 3. A failure that comes after such an end (failure, success, failure, within [`MEMORY`]) is no accident:
//!    some attempts fail. The flow is *mixed*, and stays so until no attempt has failed for [`CALM`], or for
//!    twice as long as failures lay apart, and [`ENOUGH`] have succeeded. So one verdict stands however
//!    successes and failures follow each other.
//! 4. A mixed flow in which nothing succeeds for [`NOTHING_WORKS`] fails wholly, until something does.
//! 5. What is said of a flow that is mixed, or was until a moment ago, changes once in [`STEADY`] at most.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Attempt, Failure, moved_by};

/// How long the end of a run is remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);
/// How long no attempt has to fail until a mixed flow is healthy.
const CALM: SignedDuration = SignedDuration::from_mins(10);
/// How many attempts have to succeed meanwhile.
const ENOUGH: u64 = 3;
/// How long nothing has to succeed until all attempts of a mixed flow count as failing.
const NOTHING_WORKS: SignedDuration = SignedDuration::from_mins(5);
/// How long what is said of a mixed flow stands at least.
const STEADY: SignedDuration = SignedDuration::from_mins(5);
/// The time over which the share of failures is reported.
pub(super) const SHARE_OVER: SignedDuration = SignedDuration::from_mins(10);
/// Into how many parts that time is cut.
const PARTS: i64 = 10;

/// How many of the attempts of the last minutes failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Attempts that failed.
    pub failed: u64,
    /// All attempts that ended.
    pub total: u64,
}

/// What a snapshot adds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// More attempts that failed; fewer where one that was given up succeeded after all.
    pub(super) failed: i64,
    /// More attempts that succeeded, and when the last one did.
    pub(super) succeeded: u64,
    pub(super) success: Option<Timestamp>,
    /// The last of all attempts that fail by now.
    pub(super) failure: Option<Failing>,
}

/// The last attempt that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing {
    /// How.
    pub(super) attempt: Attempt,
    /// When the first one of the snapshot began.
    pub(super) since: Timestamp,
    /// When the last one began.
    pub(super) began: Timestamp,
    /// When it was last tried.
    pub(super) last: Timestamp,
}

/// The attempts of one flow until now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    parts: VecDeque<Part>,
    run: Option<Failure>,
    mixed: Option<Box<Mixed>>,
    told: State,
    /// What few flows have: in a flood, tracks are many.
    rare: Option<Box<Rare>>,
    success: Option<Timestamp>,
    /// When the last attempt failed.
    failed: Option<Timestamp>,
}

/// What is said of the attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    #[default]
    NoneFails,
    SomeFail,
    AllFail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    start: Timestamp,
    failed: i64,
    succeeded: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rare {
    /// When a success ended a run.
    recovered: Option<Timestamp>,
    /// When the flow was last mixed.
    calm_since: Option<Timestamp>,
    /// Since when what is said of a mixed flow is said.
    told_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mixed {
    failure: Failure,
    /// The longest time between two failures.
    apart: SignedDuration,
    succeeded: u64,
}

impl History {
    /// Takes in what a snapshot adds.
    pub(super) fn advance(&mut self, news: &News, now: Timestamp) {
        self.count(news, now);
        let before = self.success;
        self.success = self.success.max(news.success);
        // In the order of time: what failed before the last success, and what failed after it.
        let is_early = |failing: &Failing| self.success.is_some_and(|at| failing.last <= at);
        let (early, late) = match news.failure {
            Some(failing) if is_early(&failing) => (Some(failing), None),
            failing => (None, failing),
        };
        if let Some(failing) = early {
            self.fail(failing, before);
        }
        if news.succeeded > 0 || early.is_some() {
            self.succeed(news.succeeded, now);
        }
        if let Some(failing) = late {
            self.fail(failing, self.success);
        }
        self.settle(now);
    }

    /// The failures that the verdict rests on, and the share of those of a flow that works in part.
    pub(super) fn failing(&self) -> Option<(Failure, Option<Share>)> {
        let failure = self.mixed.as_ref().map(|mixed| mixed.failure).or(self.run);
        match self.told {
            State::NoneFails => None,
            State::SomeFail => failure.map(|failure| (failure, Some(self.share()))),
            State::AllFail => self.run.or(failure).map(|failure| (failure, None)),
        }
    }

    /// Whether attempts fail, or failed a while ago.
    pub(super) fn is_eventful(&self, now: Timestamp) -> bool {
        let Rare { recovered, calm_since, .. } = self.rare();
        let is_recent = |at: Timestamp| now.duration_since(at) <= MEMORY;
        let was_lately = recovered.max(calm_since).is_some_and(is_recent);
        self.run.is_some() || self.mixed.is_some() || was_lately
    }

    /// Ends a run whose last attempt is as old as that.
    pub(super) fn forget(&mut self, older: SignedDuration, now: Timestamp) {
        self.run.take_if(|failure| now.duration_since(failure.last) > older);
        self.mixed.take_if(|mixed| now.duration_since(mixed.failure.last) > older);
    }

    /// That an attempt succeeded in an earlier run.
    pub(super) fn remember(&mut self, success: Option<Timestamp>) {
        self.success = self.success.max(success);
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        let rare = self.rare.iter_mut().flat_map(|rare| {
            let Rare { recovered, calm_since, told_since } = &mut **rare;
            [recovered, calm_since, told_since]
        });
        for time in rare.chain([&mut self.success, &mut self.failed]) {
            *time = time.map(|at| moved_by(at, by));
        }
        self.run = self.run.map(|run| run.moved_by(by));
        if let Some(mixed) = &mut self.mixed {
            mixed.failure = mixed.failure.moved_by(by);
        }
        for part in &mut self.parts {
            part.start = moved_by(part.start, by);
        }
    }

    /// What failed until now was no failure.
    pub(super) fn forgive(&mut self) {
        self.run = None;
        self.mixed = None;
        self.told = State::NoneFails;
    }

    fn fail(&mut self, failing: Failing, success: Option<Timestamp>) {
        let Failing { attempt, since, began, last } = failing;
        let remembers = |at: Timestamp| last.duration_since(at) <= MEMORY;
        let apart = self.failed.map_or(SignedDuration::ZERO, |failed| last.duration_since(failed));
        self.failed = self.failed.max(Some(last));
        let first = self.run.map_or(since, |run| run.since);
        let run = Failure { attempt, since: first, began, last, attempts: 0 };
        // It asked again after another one had succeeded.
        let is_beside = success.is_some_and(|at| began < at && at < last);
        if let Some(mixed) = &mut self.mixed {
            mixed.failure = Failure { since: mixed.failure.since, ..run };
            mixed.apart = mixed.apart.max(apart);
            mixed.succeeded = 0;
        } else if is_beside || self.rare().recovered.is_some_and(remembers) && self.run.is_none() {
            self.mixed = Some(Box::new(Mixed { failure: run, apart, succeeded: 0 }));
            let rare = self.rare.get_or_insert_default();
            if rare.calm_since.is_none_or(|calm| last.duration_since(calm) >= STEADY) {
                rare.told_since = None;
            }
        }
        self.run = Some(run);
    }

    fn succeed(&mut self, times: u64, now: Timestamp) {
        if self.run.take().is_some() {
            self.rare.get_or_insert_default().recovered = Some(now);
        }
        if let Some(mixed) = &mut self.mixed {
            mixed.succeeded += times;
        }
    }

    fn settle(&mut self, now: Timestamp) {
        let is_calm = |mixed: &mut Box<Mixed>| {
            let calm = CALM.max(mixed.apart.saturating_mul(2));
            now.duration_since(mixed.failure.last) >= calm && mixed.succeeded >= ENOUGH
        };
        if self.mixed.take_if(is_calm).is_some() {
            self.rare.get_or_insert_default().calm_since = Some(now);
        }
        let state = match (&self.mixed, self.run) {
            (Some(_), Some(run)) if self.nothing_works(&run, now) => State::AllFail,
            (Some(_), _) => State::SomeFail,
            (None, Some(_)) => State::AllFail,
            (None, None) => State::NoneFails,
        };
        let is_recent = |at: Timestamp| now.duration_since(at) < STEADY;
        let Rare { calm_since, told_since, .. } = self.rare();
        let is_restless = self.mixed.is_some() || calm_since.is_some_and(is_recent);
        if state != self.told && !(is_restless && told_since.is_some_and(is_recent)) {
            self.told = state;
            if let Some(rare) = &mut self.rare {
                rare.told_since = Some(now);
            }
        }
    }

    fn rare(&self) -> Rare {
        self.rare.as_deref().copied().unwrap_or_default()
    }

    fn nothing_works(&self, run: &Failure, now: Timestamp) -> bool {
        let since = self.success.map_or(run.since, |success| success.max(run.since));
        now.duration_since(since) >= NOTHING_WORKS && run.last.duration_since(since) >= CALM / 4
    }

    fn count(&mut self, news: &News, now: Timestamp) {
        let part = SHARE_OVER / i32::try_from(PARTS).unwrap_or(1);
        while self.parts.front().is_some_and(|first| now.duration_since(first.start) >= SHARE_OVER)
        {
            self.parts.pop_front();
        }
        if news.failed == 0 && news.succeeded == 0 {
            return;
        }
        match self.parts.back_mut() {
            Some(last) if now.duration_since(last.start) < part => {
                last.failed += news.failed;
                last.succeeded += news.succeeded;
            }
            _ => {
                self.parts.reserve_exact(1);
                self.parts.push_back(Part {
                    start: now,
                    failed: news.failed,
                    succeeded: news.succeeded,
                });
            }
        }
    }

    fn share(&self) -> Share {
        let failed: i64 = self.parts.iter().map(|part| part.failed).sum();
        let failed = u64::try_from(failed).unwrap_or(0);
        let succeeded: u64 = self.parts.iter().map(|part| part.succeeded).sum();
        Share { failed, total: failed + succeeded }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    struct Bench {
        history: History,
        now: Timestamp,
    }

    impl Bench {
        fn attempt(&mut self, pause: i64, fails: bool) -> State {
            self.now += SignedDuration::from_secs(pause);
            let now = self.now;
            let failing = Failing { attempt: Attempt::Refused, since: now, began: now, last: now };
            let news = if fails {
                News { failed: 1, failure: Some(failing), ..News::default() }
            } else {
                News { succeeded: 1, success: Some(now), ..News::default() }
            };
            self.history.advance(&news, now);
            self.history.told
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Under any constant mix the verdict stands: once attempts have failed, succeeded and failed again, it
        /// changes at most once in five minutes.
        #[test]
        fn no_mix_flaps(
            failing in 0.01_f64..0.99,
            pause in 1_i32..100,
            attempts in vec(0.0..1.0, 1500),
        ) {
            // Failures, and successes, that lie more than an hour apart are faults of their own.
            let an_hour = 3600.0 / f64::from(pause);
            prop_assume!((failing * an_hour).min((1.0 - failing) * an_hour) > 15.0);
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            let mut bench = Bench { history: History::default(), now };
            let mut changes: Vec<Timestamp> = Vec::new();
            let mut before = None;
            for attempt in attempts {
                let told = bench.attempt(pause.into(), attempt < failing);
                let was_mixed = bench.history.mixed.is_some()
                    || bench.history.rare().calm_since.is_some();
                if was_mixed && before.is_some_and(|before| before != told) {
                    changes.push(bench.now);
                }
                before = Some(told);
            }
            let close = changes.windows(2).find(|pair| pair[1].duration_since(pair[0]) < STEADY);
            prop_assert_eq!(close, None);
        }
    }
}
