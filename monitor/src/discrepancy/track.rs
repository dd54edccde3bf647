//! What the counts of one flow say of its connection attempts.

use jiff::{SignedDuration, Timestamp};

use super::{DEFAULT_WINDOW, evidence};
use crate::observe::{Counters, FlowId, Side, Tally, Transport};

/// How long an attempt may go without an answer. The first retransmission comes after a second, the
/// second after three: an answer that is later than both is none.
const ANSWER_GRACE: SignedDuration = SignedDuration::from_secs(3);

/// How a failed attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Answered with RST.
    Refused,
    /// Not answered.
    Unanswered,
    /// Some got through, others did not.
    Lost,
}

/// Attempts that fail, until one succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the last one failed.
    pub attempt: Attempt,
    /// When the first one began.
    pub since: Timestamp,
    /// When the last one was seen.
    pub last: Timestamp,
    /// SYN segments seen since then, each retransmission too.
    pub attempts: u64,
}

/// The memory of one flow between snapshots.
#[derive(Clone, Debug, Default)]
pub struct Track {
    seen: Option<(Counters, Counters)>,
    /// Attempts of this host's sockets, or datagrams that were dropped.
    made: u64,
    pending: Option<Failure>,
    failure: Option<Failure>,
    /// When both ends were last seen to talk.
    pub last_success: Option<Timestamp>,
}

impl Track {
    /// Takes in the counts of a snapshot.
    pub fn advance(&mut self, flow: &FlowId, tally: &Tally, now: Timestamp) {
        let (request, answer, last_request, last_answer) = match flow.side {
            Side::Client => {
                (tally.transmitted, tally.received, tally.last_transmitted, tally.last_received)
            }
            Side::Server => {
                (tally.received, tally.transmitted, tally.last_received, tally.last_transmitted)
            }
        };
        self.failure.take_if(|failure| now.duration_since(failure.last) > DEFAULT_WINDOW);
        let zero = (Counters::ZERO, Counters::ZERO);
        let (request_before, answer_before) = self.seen.replace((request, answer)).unwrap_or(zero);
        let more = |now: u64, before: u64| now.saturating_sub(before);
        let answered = more(answer.packets, answer_before.packets) > 0;
        let hidden = self.attempts_before_the_wire(flow, tally);

        if flow.transport == Transport::Udp {
            if answered && request.packets > 0 {
                self.last_success = last_answer;
                self.failure = None;
            }
            self.note_lost_datagrams(flow, tally, now);
            return;
        }

        let attempts = more(request.syn, request_before.syn).max(hidden);
        if more(answer.syn_ack, answer_before.syn_ack) > 0 {
            self.last_success = last_answer;
            self.pending = None;
            self.failure = None;
            return;
        }
        if attempts > 0 {
            let last = last_request.unwrap_or(now);
            let pending = self.pending.get_or_insert(Failure {
                attempt: Attempt::Unanswered,
                since: last,
                last,
                attempts: 0,
            });
            pending.last = last;
            pending.attempts += attempts;
        } else if answered
            && more(request.packets, request_before.packets) > 0
            && self.pending.is_none()
        {
            // A connection that is open already.
            self.last_success = last_answer;
        }
        if let Some(pending) = &mut self.pending {
            if more(answer.rst, answer_before.rst) > 0 {
                pending.attempt = Attempt::Refused;
                self.fail();
            } else if now.duration_since(pending.since) >= ANSWER_GRACE
                || evidence::is_stopped_here(flow, tally, pending.since)
            {
                self.fail();
            }
        }
    }

    /// Datagrams have no handshake: only those fail that this host is proven to have dropped.
    fn note_lost_datagrams(&mut self, flow: &FlowId, tally: &Tally, now: Timestamp) {
        let (lost, attempt, last) = evidence::lost_datagrams(flow, tally);
        let more = lost.saturating_sub(std::mem::replace(&mut self.made, lost));
        if more > 0 {
            let last = last.unwrap_or(now);
            let begun = self.failure.map_or((last, 0), |failure| (failure.since, failure.attempts));
            let (since, attempts) = (begun.0, begun.1 + more);
            self.failure = Some(Failure { attempt, since, last, attempts });
        }
    }

    /// Leaves a success that is not after a moment to those who said then what the counts mean: that
    /// the last answer was one does not follow from totals.
    pub fn forget_until(&mut self, moment: Option<Timestamp>) {
        self.last_success.take_if(|success| Some(*success) <= moment);
    }

    /// New attempts of this host that may not have reached the wire: those of its sockets, and those
    /// that its firewall dropped before.
    fn attempts_before_the_wire(&mut self, flow: &FlowId, tally: &Tally) -> u64 {
        if flow.side == Side::Server {
            return 0;
        }
        let dropped = tally.dropped.iter().filter(|drop| drop.opening && !drop.received);
        let by_firewall = dropped.filter(|drop| drop.reason == "NETFILTER_DROP");
        let made = tally.socket_transmitted.syn + by_firewall.map(|drop| drop.packets).sum::<u64>();
        made.saturating_sub(std::mem::replace(&mut self.made, made))
    }

    /// Attempts that fail, those included that could still be answered.
    pub fn failing(&self) -> Option<Failure> {
        let failure = self.failure?;
        Some(match self.pending {
            None => failure,
            Some(pending) => Failure {
                last: pending.last,
                attempts: failure.attempts + pending.attempts,
                ..failure
            },
        })
    }

    /// The pending attempts failed.
    fn fail(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.failure = Some(match self.failure {
            None => pending,
            Some(failure) => Failure {
                attempt: pending.attempt,
                since: failure.since,
                last: pending.last,
                attempts: failure.attempts + pending.attempts,
            },
        });
    }
}
