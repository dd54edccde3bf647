//! What opens, changes and closes from one report to the next: the story that the log tells.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};

use super::{Expectation, Report, Unexpected, text::age};
use crate::discrepancy::Cause;

/// How unexpected traffic is called, where an expectation has its verdict.
const UNEXPECTED: &str = "unexpected";

/// Lines of the log in a minute, in all and for one discrepancy. What goes beyond is only counted.
const MOST: u32 = 60;
const MOST_EACH: u32 = 6;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

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

/// What is open, between reports.
#[derive(Debug, Default)]
pub struct Changes {
    open: BTreeMap<String, Finding>,
    minute: Option<Timestamp>,
    lines: BTreeMap<String, u32>,
    left_out: u32,
}

impl Changes {
    /// What has changed since the report before. Of the first one, everything is new.
    pub fn follow(&mut self, report: &Report) -> Vec<Change> {
        let mut changes = self.begin_minute(report.taken);
        let found = findings(report);
        for (place, finding) in &found {
            let change = match self.open.get(place) {
                None => Change::Opened(finding.clone()),
                Some(before)
                    if (before.verdict, before.cause) != (finding.verdict, finding.cause) =>
                {
                    // It is one discrepancy, however its face changes.
                    let finding = Finding { since: before.since, ..finding.clone() };
                    Change::Altered(finding, before.verdict, before.cause)
                }
                Some(_) => continue,
            };
            changes.push((place.clone(), change));
        }
        // Where not all are listed, one that is not among them may be there all the same.
        let all_listed = report.unexpected.len() == report.unexpected_total;
        let is_over = |place: &String, open: &Finding| {
            !found.contains_key(place) && (open.verdict != UNEXPECTED || all_listed)
        };
        let over: Vec<_> = self.open.iter().filter(|(place, open)| is_over(place, open)).collect();
        let said: BTreeMap<String, &'static str> = if over.is_empty() {
            BTreeMap::new()
        } else {
            let expectations = report.expectations.iter();
            expectations.map(|other| (other.place(), other.verdict.name())).collect()
        };
        for (place, finding) in over {
            let lasted = report.taken.duration_since(finding.since);
            let now = now(&said, finding);
            changes.push((place.clone(), Change::Closed(finding.clone(), lasted, now)));
        }
        for (place, change) in &changes {
            match change {
                Change::Opened(finding) | Change::Altered(finding, ..) => {
                    self.open.insert(place.clone(), finding.clone());
                }
                Change::Closed(..) => {
                    self.open.remove(place);
                }
                Change::LeftOut(_) => {}
            }
        }
        changes.into_iter().filter(|(place, _)| self.has_room(place)).map(|(_, it)| it).collect()
    }

    /// Counts anew each minute, and says what was left out in the one before.
    fn begin_minute(&mut self, now: Timestamp) -> Vec<(String, Change)> {
        // A clock that was set back begins one too.
        let same = |began| (SignedDuration::ZERO..MINUTE).contains(&now.duration_since(began));
        if self.minute.is_some_and(same) {
            return Vec::new();
        }
        self.minute = Some(now);
        self.lines.clear();
        match std::mem::take(&mut self.left_out) {
            0 => Vec::new(),
            left_out => vec![(String::new(), Change::LeftOut(left_out))],
        }
    }

    fn has_room(&mut self, place: &str) -> bool {
        let all: u32 = self.lines.values().sum();
        let lines = self.lines.entry(place.to_owned()).or_default();
        let has_room = all < MOST && *lines < MOST_EACH;
        if has_room {
            *lines += 1;
        } else {
            self.left_out += 1;
        }
        has_room
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
