//! What opens, changes and closes from one report to the next: the story that the log tells.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{SignedDuration, Timestamp};

use super::{Expectation, Report, Unexpected, text::age};
use crate::discrepancy::Cause;

/// How unexpected traffic is called, where an expectation has its verdict.
const UNEXPECTED: &str = "unexpected";

/// Lines of the log in a minute: for expectations, as many again for unexpected flows, and for one discrepancy.
const MOST: u32 = 60;
const MOST_EACH: u32 = 6;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Unexpected flows that the log has open.
const MOST_UNEXPECTED: usize = 1000;

/// Failing peers that a line names.
const MOST_PEERS: usize = 3;

/// A discrepancy, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The system that it belongs to.
    pub system: String,
    /// The flow, or the one that it comes nearest to.
    pub flow: String,
    /// The peers: their role, or the address of an unexpected one.
    pub peers: String,
    /// What, from where to where, and the port: no two findings have the same.
    pub place: String,
    /// The verdict's name, or `unexpected`.
    pub verdict: &'static str,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Whose attempts fail, as text; empty where nobody tried.
    pub failing: String,
}

/// What became of a discrepancy. Its text is a whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Opened(Finding),
    /// Its verdict or its cause is another, and was this.
    Altered(Finding, &'static str, Cause),
    /// It is over, after so long; `ok`, `idle` or `unknown` now, or no longer expected or seen.
    Closed(Finding, SignedDuration, &'static str),
    /// So many lines were left out in the minute before.
    LeftOut(u32),
}

/// What is open, and what the log says is, between reports.
///
/// What there was no room for is logged once there is, where it still holds: nothing of an expectation stays
/// unsaid. Of unexpected flows, which any stranger can cause by the thousand, it is only counted.
#[derive(Debug, Default)]
pub struct Changes {
    open: BTreeMap<String, Finding>,
    logged: BTreeMap<String, Finding>,
    budget: Budget,
    left_out: u32,
}

impl Changes {
    /// What has changed since the report before. Of the first one, everything is new.
    pub fn follow(&mut self, report: &Report) -> Vec<Change> {
        let is_new_minute = self.budget.begin(report.taken);
        let mut left_out = if is_new_minute { std::mem::take(&mut self.left_out) } else { 0 };
        let before = std::mem::take(&mut self.open);
        self.open = self.still_open(&before, report);
        let mut changes = Vec::new();
        let mut said = None;
        let mut unexpected = self.logged.values().filter(|it| it.is_unexpected()).count();
        let places: BTreeSet<&String> =
            before.keys().chain(self.open.keys()).chain(self.logged.keys()).collect();
        for place in places {
            let (was, is) = (before.get(place), self.open.get(place));
            let has_changed = was.map(Finding::face) != is.map(Finding::face);
            let change = match (self.logged.get(place), is) {
                (None, Some(finding)) => Change::Opened(finding.clone()),
                (Some(logged), Some(finding)) if logged.face() != finding.face() => {
                    Change::Altered(finding.clone(), logged.verdict, logged.cause)
                }
                (Some(finding), None) => {
                    let said = said.get_or_insert_with(|| verdicts(report));
                    let lasted = report.taken.duration_since(finding.since);
                    Change::Closed(finding.clone(), lasted, now(said, finding))
                }
                _ => {
                    self.left_out += u32::from(has_changed);
                    continue;
                }
            };
            let known = was.or(is).or_else(|| self.logged.get(place));
            let is_unexpected = known.is_some_and(Finding::is_unexpected);
            if is_unexpected && !has_changed && is.is_some() {
                continue;
            }
            let is_one_more = is_unexpected && matches!(change, Change::Opened(_));
            if is_one_more && unexpected >= MOST_UNEXPECTED
                || !self.budget.has_room(place, is_unexpected)
            {
                self.left_out += u32::from(has_changed);
                continue;
            }
            unexpected += usize::from(is_one_more);
            if !has_changed {
                // It was counted when there was no room for it.
                let counted = if left_out > 0 { &mut left_out } else { &mut self.left_out };
                *counted = counted.saturating_sub(1);
            }
            changes.push((place.clone(), change));
        }
        for (place, change) in &changes {
            match change {
                Change::Opened(finding) | Change::Altered(finding, ..) => {
                    self.logged.insert(place.clone(), finding.clone());
                }
                Change::Closed(..) => {
                    self.logged.remove(place);
                }
                Change::LeftOut(_) => {}
            }
        }
        let left_out = (left_out > 0).then_some(Change::LeftOut(left_out));
        left_out.into_iter().chain(changes.into_iter().map(|(_, change)| change)).collect()
    }

    /// What a report finds open, after what was so before.
    fn still_open(
        &self,
        before: &BTreeMap<String, Finding>,
        report: &Report,
    ) -> BTreeMap<String, Finding> {
        let mut open = findings(report);
        for (place, finding) in &mut open {
            // It is one discrepancy, however its face changes.
            finding.since = before.get(place).map_or(finding.since, |before| before.since);
        }
        // Where not all are listed, one that is not among them may be there all the same.
        if report.unexpected.len() < report.unexpected_total {
            for (place, finding) in self.logged.iter().filter(|(_, it)| it.is_unexpected()) {
                open.entry(place.clone()).or_insert_with(|| finding.clone());
            }
        }
        open
    }
}

/// What is said of each expectation.
fn verdicts(report: &Report) -> BTreeMap<String, &'static str> {
    let expectations = report.expectations.iter();
    expectations.map(|other| (other.place(), other.verdict.name())).collect()
}

/// The lines of a minute.
#[derive(Debug, Default)]
struct Budget {
    minute: Option<Timestamp>,
    expected: u32,
    unexpected: u32,
    each: BTreeMap<String, u32>,
}

impl Budget {
    /// Counts anew each minute. Says whether one begins.
    fn begin(&mut self, now: Timestamp) -> bool {
        // A clock that was set back begins one too.
        let same = |began| (SignedDuration::ZERO..MINUTE).contains(&now.duration_since(began));
        if self.minute.is_some_and(same) {
            return false;
        }
        *self = Self { minute: Some(now), ..Self::default() };
        true
    }

    fn has_room(&mut self, place: &str, is_unexpected: bool) -> bool {
        let all = if is_unexpected { &mut self.unexpected } else { &mut self.expected };
        let lines = self.each.entry(place.to_owned()).or_default();
        let has_room = *all < MOST && *lines < MOST_EACH;
        if has_room {
            *all += 1;
            *lines += 1;
        }
        has_room
    }
}

impl Finding {
    /// What a change of is one.
    const fn face(&self) -> (&'static str, Cause) {
        (self.verdict, self.cause)
    }

    fn is_unexpected(&self) -> bool {
        self.verdict == UNEXPECTED
    }
}

fn findings(report: &Report) -> BTreeMap<String, Finding> {
    let expected = report.discrepancies().map(expected);
    let unexpected = report.unexpected.iter().map(unexpected);
    expected.chain(unexpected).map(|finding| (finding.place.clone(), finding)).collect()
}

fn expected(expectation: &Expectation) -> Finding {
    Finding {
        system: expectation.system.clone(),
        flow: expectation.flow.clone(),
        peers: expectation.peer_group.clone(),
        place: expectation.place(),
        verdict: expectation.verdict.name(),
        cause: expectation.cause.unwrap_or(Cause::Undetermined),
        since: expectation.since,
        failing: failing(expectation),
    }
}

fn failing(expectation: &Expectation) -> String {
    let evidence = &expectation.evidence;
    let mut peers: Vec<&str> = evidence.failing.iter().map(|failing| &*failing.address).collect();
    peers.truncate(MOST_PEERS);
    let hidden = evidence.failing_total.saturating_sub(peers.len());
    let more = if hidden > 0 { format!(" and {hidden} more") } else { String::new() };
    peers.join(", ") + &more
}

fn unexpected(stranger: &Unexpected) -> Finding {
    Finding {
        system: stranger.system.clone(),
        flow: stranger.flow.clone(),
        peers: stranger.peer.clone(),
        place: stranger.place(),
        verdict: UNEXPECTED,
        cause: stranger.cause,
        since: stranger.since,
        failing: String::new(),
    }
}

/// What is said now of what was a discrepancy.
fn now(said: &BTreeMap<String, &'static str>, finding: &Finding) -> &'static str {
    match said.get(&finding.place) {
        Some(verdict) => verdict,
        None if finding.verdict == UNEXPECTED => "no longer seen",
        None => "no longer expected",
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, verdict, cause, since, failing, .. } = self;
        write!(f, "{}  {place}: {}", verdict.to_uppercase(), cause.name())?;
        if !failing.is_empty() {
            write!(f, " with {failing}")?;
        }
        write!(f, ", since {}", since.strftime("%Y-%m-%d %H:%M:%S UTC"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(finding) => write!(f, "{finding}"),
            Self::Altered(finding, verdict, cause) => {
                write!(f, "{finding}; before {verdict}, {}", cause.name())
            }
            Self::Closed(finding, lasted, now) => {
                let Finding { place, verdict, cause, .. } = finding;
                let (now, lasted) = (now.to_uppercase(), age(*lasted));
                write!(f, "{now}  {place}: {verdict} for {lasted}, {}, is over", cause.name())
            }
            Self::LeftOut(lines) => write!(f, "{lines} more changes were not logged one by one"),
        }
    }
}
