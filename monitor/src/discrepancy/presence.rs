//! Whether a flow that is due was seen in time.

use std::{collections::BTreeMap, ops::Range};

use jiff::{SignedDuration, Timestamp, Zoned};

use super::{DEFAULT_WINDOW, gathered::Gathered, watch::Watch};
use crate::{
    config::{Due, Schedule},
    expect::{DAILY, Expectation, Key},
};

/// What follows from a flow that was not seen since its [`horizon`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// Nothing: it is not due.
    Free,
    /// It cannot be said, for this reason.
    Unclear(String),
    /// It should have been seen; with the window of its schedule.
    Overdue(Option<String>),
}

/// A success that is not before counts now: the start of the last window that has ended, or `within`.
pub(super) fn horizon(expectation: &Expectation, now: Timestamp) -> Timestamp {
    let window = match &expectation.due {
        Due::Schedule(schedule) => {
            let last = schedule.ended(now).next();
            return last.map_or(Timestamp::MIN, |window| window.start.timestamp());
        }
        Due::Within(window) => *window,
        Due::Daily => DAILY,
        Due::Never => DEFAULT_WINDOW,
    };
    now.checked_sub(window).unwrap_or(Timestamp::MIN)
}

/// What the absence since the last success says of an expectation, `since` when it is one.
pub(super) fn absence(
    due: &Due,
    watch: &Watch,
    since: Timestamp,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Absence {
    match due {
        Due::Schedule(schedule) => in_windows(schedule, watch, since, last, now),
        Due::Never => Absence::Free,
        Due::Daily => in_time(DAILY, watch, since, now),
        Due::Within(window) => in_time(*window, watch, since, now),
    }
}

fn in_time(window: SignedDuration, watch: &Watch, since: Timestamp, now: Timestamp) -> Absence {
    if now.duration_since(watch.run_since().max(since)) < window {
        Absence::Unclear(format!("watched for less than {window:#}"))
    } else {
        Absence::Overdue(None)
    }
}

/// A window without a success counts if all of it was watched, until there is a success.
fn in_windows(
    schedule: &Schedule,
    watch: &Watch,
    since: Timestamp,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Absence {
    let begun = watch.since.max(since);
    let mut unclear = None;
    for window in schedule.ended(now) {
        let time = window.start.timestamp()..window.end.timestamp();
        if time.end <= begun || last.is_some_and(|last| last >= time.start) {
            break;
        }
        if since <= time.start && watch.covers(&time) {
            return Absence::Overdue(Some(words(&window)));
        }
        unclear.get_or_insert(window);
    }
    match unclear {
        Some(window) => Absence::Unclear(format!("not watched for all of {}", words(&window))),
        None => Absence::Free,
    }
}

fn words(window: &Range<Zoned>) -> String {
    let start = window.start.strftime("%a %Y-%m-%d %H:%M");
    format!("{start} to {}", window.end.strftime("%a %Y-%m-%d %H:%M %Z"))
}

/// The indices of the machines without a success since the horizon, where every single one is due.
pub(super) fn absent(
    expectation: &Expectation,
    gathered: &Gathered,
    horizon: Timestamp,
) -> Vec<usize> {
    let listed = expectation.peers.listed().unwrap_or_default();
    let is_due =
        expectation.every_member && matches!(expectation.due, Due::Within(_) | Due::Schedule(_));
    let members = listed.iter().enumerate().filter(|(_, peer)| is_due && peer.is_machine());
    let indices = members.map(|(index, _)| index);
    indices
        .filter(|&index| gathered.successes.get(&Some(index)).is_none_or(|&at| at < horizon))
        .collect()
}

/// What tells the expectations of which one is enough; `None` for one that has no alternative.
pub(super) type Alternatives<'a> = Option<(&'a str, &'a str, &'a str)>;

pub(super) fn alternatives(expectation: &Expectation) -> Alternatives<'_> {
    let Key { system, peer_group, .. } = &expectation.key;
    Some((system, peer_group, expectation.alternatives.as_deref()?))
}

/// When one of some alternatives was last seen to work.
pub(super) fn alternatives_in_use<'a>(
    expectations: &'a [Expectation],
    gathered: &[Gathered],
) -> BTreeMap<Alternatives<'a>, Timestamp> {
    let mut in_use = BTreeMap::new();
    for (expectation, gathered) in expectations.iter().zip(gathered) {
        if let (Some(name), Some(success)) = (alternatives(expectation), gathered.last_success()) {
            let last = in_use.entry(Some(name)).or_insert(success);
            *last = success.max(*last);
        }
    }
    in_use
}
