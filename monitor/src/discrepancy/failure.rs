//! Attempts that fail.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::moved_by;

/// How a failed attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// Answered with RST.
    Refused,
    /// Not answered.
    Unanswered,
    /// Answered, and the one who asked did not go on.
    HalfOpen,
    /// Some got through, others did not.
    Lost,
    /// Datagrams that ask, and of which none is answered.
    Silent,
    /// It was never sent.
    NotSent {
        /// Why, as `errno` numbers it.
        error: u32,
    },
}

/// Attempts that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How the last one failed.
    pub attempt: Attempt,
    /// When the first one began.
    pub since: Timestamp,
    /// When the last one that failed began: evidence of a cause is not older.
    pub began: Timestamp,
    /// When the last one was seen.
    pub last: Timestamp,
    /// SYN segments seen since then, each retransmission too, and attempts that were never sent.
    pub attempts: u64,
}

impl Failure {
    /// The same after the clock was set by so much.
    pub(super) fn moved_by(self, by: SignedDuration) -> Self {
        let [since, began, last] = [self.since, self.began, self.last].map(|at| moved_by(at, by));
        Self { since, began, last, ..self }
    }
}
