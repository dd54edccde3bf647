//! Since when each expectation's verdict is reported.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cause, Verdict, moved_by};
use crate::expect::Key;

/// A verdict, as it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// The verdict.
    pub verdict: Verdict,
    /// Its cause.
    pub cause: Option<Cause>,
    /// Since when it is reported.
    pub since: Timestamp,
}

/// What is reported of all expectations.
#[derive(Debug, Default)]
pub(super) struct All(HashMap<Key, Reported>);

impl All {
    /// What an earlier run had reported.
    pub(super) fn resume(reported: impl Iterator<Item = (Key, Reported)>) -> Self {
        Self(reported.collect())
    }

    /// The discrepancy that is reported, if there is one.
    pub(super) fn discrepancy(&self, key: &Key) -> Option<Reported> {
        self.0.get(key).copied().filter(|reported| reported.verdict.is_discrepancy())
    }

    /// Since when a verdict stands: since the first failed attempt, or since it was first reported.
    pub(super) fn since(
        &mut self,
        key: &Key,
        (verdict, cause): (Verdict, Option<Cause>),
        first_failed: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        match self.0.get(key) {
            Some(known) if (known.verdict, known.cause) == (verdict, cause) => known.since,
            _ => {
                let since = first_failed.unwrap_or(now);
                self.0.insert(key.clone(), Reported { verdict, cause, since });
                since
            }
        }
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.0.values_mut().for_each(|reported| reported.since = moved_by(reported.since, by));
    }
}
