//! What is known of a name: pure, the time is passed in.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

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
    failures: u32,
}

/// What is worth a line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The first answer.
    First,
    /// Other addresses than these.
    Changed(BTreeSet<IpAddr>),
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
        let wait = ttl.unwrap_or(MOST_BACK_OFF).clamp(SHORTEST, LONGEST);
        let news = match self.since {
            None => Some(News::First),
            Some(_) if addresses != self.addresses => {
                self.changes += 1;
                Some(News::Changed(std::mem::replace(&mut self.addresses, addresses.clone())))
            }
            Some(_) => return (wait, failed.then_some(News::Recovered)),
        };
        self.addresses = addresses;
        self.since = Some(now);
        (wait, news)
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
