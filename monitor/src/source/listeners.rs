//! What waits for peers, and since when: attempts that failed are judged by what waited at their time.

use jiff::Timestamp;

use crate::{
    discrepancy::DEFAULT_WINDOW,
    kernel::{self, Attachments, listeners},
    observe::{Listening, PortSet, Transport},
};

/// Listeners that are gone and kept in mind, the latest of them: failures last no longer.
const MOST_GONE: usize = 256;

/// What waits for peers on documented ports, or did.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    known: Vec<Listening>,
    looked: Option<Timestamp>,
}

impl Listeners {
    /// What an earlier run had seen when it last looked.
    pub(super) const fn resume(known: Vec<Listening>, looked: Timestamp) -> Self {
        Self { known, looked: Some(looked) }
    }

    /// Looks at the host's sockets.
    pub(super) fn follow(
        &mut self,
        ports: &PortSet,
        attachments: &Attachments,
        now: Timestamp,
    ) -> Result<Vec<Listening>, kernel::Error> {
        let all = listeners()?.into_iter();
        let documented = all.filter(|it| ports.contains(it.transport, it.address.port()));
        let current = documented.map(|it| Listening {
            transport: it.transport,
            address: it.address,
            only_ipv6: it.only_ipv6,
            device: attachments.name(it.device),
            is_full: it.transport == Transport::Tcp && it.waiting > it.room,
            after: None,
            until: None,
        });
        self.take_in(current.collect(), now);
        Ok(self.known.clone())
    }

    fn take_in(&mut self, current: Vec<Listening>, now: Timestamp) {
        let looked = self.looked.replace(now);
        for known in self.known.iter_mut().filter(|known| known.is_there()) {
            if !current.iter().any(|it| is_same(it, known)) {
                known.until = looked;
            }
        }
        for mut it in current {
            let mut there = self.known.iter_mut().filter(|known| known.is_there());
            if let Some(known) = there.find(|known| is_same(&it, known)) {
                known.is_full = it.is_full;
            } else {
                it.after = looked;
                self.known.push(it);
            }
        }
        self.known
            .retain(|it| it.until.is_none_or(|end| now.duration_since(end) <= DEFAULT_WINDOW));
        let gone = self.known.iter().filter(|it| !it.is_there()).count();
        let mut too_many = gone.saturating_sub(MOST_GONE);
        self.known.retain(|it| {
            let goes = !it.is_there() && too_many > 0;
            too_many -= usize::from(goes);
            !goes
        });
    }
}

fn is_same(one: &Listening, other: &Listening) -> bool {
    let what = |it: &Listening| (it.transport, it.address, it.only_ipv6);
    what(one) == what(other) && one.device == other.device
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn what_waited_is_known_for_each_moment() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| start + seconds.seconds();
        let mut listeners = Listeners::default();
        listeners.take_in(vec![Listening::tcp("10.20.0.1:50051")], at(0));
        listeners.take_in(vec![], at(1));
        listeners.take_in(vec![Listening::tcp("127.0.0.1:50051")], at(2));
        listeners.take_in(
            vec![Listening::tcp("10.20.0.1:50051"), Listening::tcp("127.0.0.1:50051")],
            at(3),
        );
        let of = |seconds| {
            let there = listeners.known.iter().filter(|it| it.may_be_of(at(seconds)));
            there.map(|it| it.address.ip().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(0), ["10.20.0.1"]);
        assert_eq!(of(1), ["127.0.0.1"]);
        assert_eq!(of(2), ["127.0.0.1", "10.20.0.1"]);
    }

    #[test]
    fn what_is_gone_is_bounded_in_number_and_time() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut listeners = Listeners::default();
        for second in 0..600_i64 {
            let now = start + second.seconds();
            let port = 1000 + second;
            listeners.take_in(vec![Listening::tcp(&format!("10.20.0.1:{port}"))], now);
        }
        assert_eq!(listeners.known.len(), MOST_GONE + 1);
        listeners.take_in(vec![], start + 30.hours());
        assert_eq!(listeners.known.len(), 0);
    }
}
