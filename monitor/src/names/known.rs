//! What is known of a name: pure, the time is passed in.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;

/// The shortest time between two questions for a name. Load balancers answer with a TTL of 0, which
/// is meant for a connection that is about to be made, and not for somebody who watches all of them.
const SHORTEST: Duration = Duration::from_secs(5);

/// The longest: a TTL of days is not waited out before a moved peer is noticed.
const LONGEST: Duration = Duration::from_secs(3600);

/// The first wait after a question without an answer; it doubles with each further one.
const BACK_OFF: Duration = Duration::from_secs(5);

/// What it doubles up to.
const MOST_BACK_OFF: Duration = Duration::from_secs(60);

/// How long an address of a pool stays one after the last answer that had it: a nightly job, and two hours.
const POOL: Duration = Duration::from_secs(26 * 3600);

/// Addresses of a pool that are kept besides those of the last answer.
const MOST_EARLIER: usize = 256;

/// Of this many answers in a row, [`ROTATING`] differ from the one before where a name stands for a pool. A
/// peer that moves changes once.
const LOOKED_AT: u32 = 4;
const ROTATING: u32 = 3;

/// What came of a question for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has addresses, or it has none by the word of a server.
    Given {
        /// The addresses.
        addresses: BTreeSet<IpAddr>,
        /// How long they hold: the smallest TTL of the answer, the negative TTL of an empty one.
        ttl: Option<Duration>,
        /// The family of addresses that could not be asked for, while the other was answered.
        unanswered: Option<Family>,
    },
    /// No server said anything of use.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no server to ask, which was said once for all names.
    NoServer,
    /// A timeout, SERVFAIL and the like.
    Query(String),
}

/// Addresses of IPv4 or of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Its addresses, as last answered.
    pub addresses: BTreeSet<IpAddr>,
    /// Answers that differed from the one before.
    pub changes: u64,
    /// When the present answer was first given, `None` before the first.
    pub since: Option<Timestamp>,
    /// Addresses that it had before, and until when they are still used: programs keep an answer for its
    /// TTL, and each answer of a pool gives a few of its addresses.
    earlier: BTreeMap<IpAddr, Timestamp>,
    /// Which of the last answers differed from the one before, the last one in the lowest bit.
    differed: u32,
    /// Answers with addresses, as long as they are few.
    answers: u32,
    failures: u32,
}

/// What is worth a line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The first answer.
    First,
    /// Other addresses than these.
    Changed(BTreeSet<IpAddr>),
    /// Other addresses once more, as from now on each time.
    Rotating,
    /// The first question without an answer after one that had one.
    Failing(String),
    /// An answer again, the same as before.
    Recovered,
}

impl Known {
    /// Takes in an answer. Gives how long to wait before the next question, and what is new.
    pub(super) fn take_in(&mut self, answer: Answer, now: Timestamp) -> (Duration, Option<News>) {
        let (mut addresses, ttl, unanswered) = match answer {
            Answer::Given { addresses, ttl, unanswered } => (addresses, ttl, unanswered),
            Answer::Failed(failure) => return self.fail(failure),
        };
        let failed = std::mem::take(&mut self.failures) > 0;
        let kept =
            self.addresses.iter().filter(|address| Some(Family::of(**address)) == unanswered);
        addresses.extend(kept);
        let mut wait = ttl.unwrap_or(MOST_BACK_OFF).clamp(SHORTEST, LONGEST);
        // A pool is to be recognised before a flow is due, however long its TTL.
        if self.answers < LOOKED_AT && !addresses.is_empty() {
            self.answers += 1;
            wait = SHORTEST;
        }
        let is_other = addresses != self.addresses;
        if self.since.is_none() {
            self.addresses = addresses;
            self.since = Some(now);
            return (wait, Some(News::First));
        }
        let rotated = self.rotates();
        self.differed = self.differed << 1 | u32::from(is_other);
        if !is_other {
            return (wait, failed.then_some(News::Recovered));
        }
        let before = std::mem::replace(&mut self.addresses, addresses);
        self.keep_earlier(&before, ttl.unwrap_or_default().min(LONGEST), now);
        self.changes += 1;
        self.since = Some(now);
        let news = match (rotated, self.rotates()) {
            (false, false) => Some(News::Changed(before)),
            (false, true) => Some(News::Rotating),
            (true, _) => None,
        };
        (wait, news)
    }

    /// Keeps the addresses of the answer before. A name that has none any more has none of them.
    fn keep_earlier(&mut self, before: &BTreeSet<IpAddr>, ttl: Duration, now: Timestamp) {
        if self.addresses.is_empty() {
            self.earlier.clear();
            self.differed = 0;
            return;
        }
        let keep = if self.rotates() { POOL } else { ttl };
        let until = now.checked_add(keep).unwrap_or(Timestamp::MAX);
        self.earlier.extend(before.iter().map(|address| (*address, until)));
        self.earlier.retain(|address, until| *until > now && !self.addresses.contains(address));
        while self.earlier.len() > MOST_EARLIER {
            let first = self.earlier.iter().min_by_key(|(_, until)| **until);
            let Some(address) = first.map(|(address, _)| *address) else { break };
            self.earlier.remove(&address);
        }
    }

    /// The addresses that are its own at a moment: those of the last answer, and those before that are
    /// still used.
    pub fn in_use(&self, now: Timestamp) -> Vec<IpAddr> {
        let earlier = self.earlier.iter().filter(|(_, until)| **until > now);
        self.addresses.iter().chain(earlier.map(|(address, _)| address)).copied().collect()
    }

    /// Whether it stands for a pool, of which each answer gives a few addresses.
    const fn rotates(&self) -> bool {
        (self.differed & ((1 << LOOKED_AT) - 1)).count_ones() >= ROTATING
    }

    /// Whether it may stand for addresses that no answer has had yet.
    pub const fn may_have_others(&self) -> bool {
        self.differed & ((1 << LOOKED_AT) - 1) != 0
    }

    /// The last addresses stay: that nobody answers does not say that the peer has moved.
    fn fail(&mut self, failure: Failure) -> (Duration, Option<News>) {
        let wait = BACK_OFF.saturating_mul(1 << self.failures.min(8)).min(MOST_BACK_OFF);
        self.failures = self.failures.saturating_add(1);
        let news = match failure {
            Failure::Query(reason) if self.failures == 1 => Some(News::Failing(reason)),
            Failure::Query(_) | Failure::NoServer => None,
        };
        (wait, news)
    }
}

impl Family {
    const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}
