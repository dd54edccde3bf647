//! Verdicts and causes: how what was seen differs from what should be.
//!
//! Pure: the ledger is a function of snapshots and of the expectations; the time is that of the
//! snapshot.

mod attempts;
mod before_the_wire;
mod carried;
mod cause;
mod datagrams;
mod evidence;
mod failure;
mod fallback;
mod gathered;
mod judgement;
mod layers;
mod ledger;
mod memory;
mod one_way;
mod past;
mod presence;
pub mod reasons;
mod reported;
mod scan;
mod session;
mod strangers;
#[cfg(test)]
mod tests;
mod totals;
mod track;
mod tracks;
mod verdict;
mod watch;
mod worst;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attempts::Share;
pub use carried::Carried;
pub use cause::Cause;
pub use failure::{Attempt, Failure};
pub use judgement::{Assessment, Failing, Judgement, PeerCounts, Unexpected};
pub use layers::Difference;
pub use ledger::Ledger;
pub use memory::{Memory, PeerSeen, Remembered, Seen};
pub use reported::Reported;
pub use scan::Scanner;
pub use session::Stuck;
pub use totals::Totals;
pub use track::{ANSWER_GRACE, Track};
pub use watch::{Blindness, Watch};
pub use worst::MOST_FAILING;

use crate::expect::DAILY;

/// How long a success counts where the config says nothing, and how long a failure stays after the
/// last attempt.
pub(crate) const DEFAULT_WINDOW: SignedDuration = DAILY;

/// A time that was read before the clock was set by so much.
fn moved_by(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

/// What is said of an expectation. The order is from good to bad.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Seen to work.
    Ok,
    /// Nobody tried, and it is not due.
    Idle,
    /// It cannot be said.
    Unknown,
    /// It works in part.
    Degraded,
    /// It is due, and nobody tried.
    Missing,
    /// Every attempt is turned down at once.
    Refused,
    /// Attempts get no answer.
    Blocked,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Idle,
        Self::Unknown,
        Self::Degraded,
        Self::Missing,
        Self::Refused,
        Self::Blocked,
    ];

    /// The name in reports and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Blocked => "blocked",
        }
    }

    /// Whether something is wrong.
    pub const fn is_discrepancy(self) -> bool {
        match self {
            Self::Ok | Self::Idle | Self::Unknown => false,
            Self::Degraded | Self::Missing | Self::Refused | Self::Blocked => true,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
