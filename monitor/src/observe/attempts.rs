//! Attempts to connect, each by itself.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AttemptEnd;

/// Attempts of a flow that ended alike. The numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// How many.
    pub times: u64,
    /// Segments with SYN that they had, each retransmission too.
    pub segments: u64,
    /// When the last one began.
    pub began: Option<Timestamp>,
    /// When that one ended.
    pub last: Option<Timestamp>,
}

/// An attempt of which it is not known yet what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAttempt {
    /// The address of this host.
    pub own: IpAddr,
    /// The asker's port.
    pub port: u16,
    /// When its first SYN was seen.
    pub began: Timestamp,
    /// When its last SYN was seen.
    pub last: Timestamp,
    /// Segments with SYN until now.
    pub segments: u64,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// When its asker went on after the answer.
    pub acknowledged: Option<Timestamp>,
}

/// A SYN-ACK from another address of the service than was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrayAnswer {
    /// When it was seen.
    pub at: Timestamp,
    /// The address that it came from; of a service of this host, one of its own.
    pub from: IpAddr,
    /// The asker's port.
    pub port: u16,
}

/// What is rare of the attempts of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Odd {
    /// How many were not followed, since too many were open.
    pub not_followed: u64,
    /// The last answer from elsewhere.
    pub stray: Option<StrayAnswer>,
}

/// The attempts of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// Those that ended, each end once.
    pub ended: Vec<(AttemptEnd, Ended)>,
    /// Those that are open, the first one first.
    pub open: Vec<OpenAttempt>,
    /// What else there is.
    pub odd: Odd,
}

impl Attempts {
    /// Those that ended in one way.
    pub fn ended(&self, end: AttemptEnd) -> Ended {
        let mut ended = self.ended.iter();
        ended.find(|(other, _)| *other == end).map(|(_, ended)| *ended).unwrap_or_default()
    }
}
