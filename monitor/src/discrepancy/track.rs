//! What the counts of one flow say of its connection attempts.

use jiff::{SignedDuration, Timestamp};

use super::{DEFAULT_WINDOW, Difference, evidence, layers::Layers};
use crate::observe::{
    Counters, FORBIDDEN, FlowId, NO_PORT, Outcome, REFUSED_UNSENT, Route, Side, Tally, Transport,
    UNTOLD,
};

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
    /// Answered, and the one who asked did not go on.
    HalfOpen,
    /// Some got through, others did not.
    Lost,
    /// It was never sent.
    NotSent {
        /// Why, as `errno` numbers it.
        error: u32,
    },
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
    /// SYN segments seen since then, each retransmission too, and attempts that were never sent.
    pub attempts: u64,
}

/// The memory of one flow between snapshots.
#[derive(Clone, Debug, Default)]
pub struct Track {
    seen: Option<(Counters, Counters)>,
    /// Attempts of this host's sockets, or datagrams that were dropped.
    made: u64,
    /// Datagrams in answer that nothing is known to have stopped.
    delivered: u64,
    not_sent: NotSent,
    handshakes: Handshakes,
    pending: Option<Failure>,
    failure: Option<Failure>,
    layers: Layers,
    /// When both ends were last seen to talk.
    pub last_success: Option<Timestamp>,
    /// When a connection was last seen to be opened.
    pub last_opened: Option<Timestamp>,
}

/// Attempts of this host that are known to have failed before anything was sent.
#[derive(Clone, Copy, Debug, Default)]
struct NotSent {
    not_begun: u64,
    no_port: u64,
    forbidden: u64,
    /// Those that had not begun in the snapshot before: at that moment some may have been beginning.
    beginning: u64,
}

/// What is seen of the handshakes of pending attempts.
#[derive(Clone, Copy, Debug, Default)]
struct Handshakes {
    /// Completed ones that the sockets have told until now.
    told: u64,
    /// Those of the last two snapshots: the sockets may be read later than the wire.
    new: [u64; 2],
    /// There was an answer.
    granted: bool,
    /// The one who asked has sent something else than SYN since.
    spoken: bool,
}

impl Track {
    /// Of a flow that is seen for the first time, in the first snapshot or in a later one.
    pub(super) fn of(flow: &FlowId, tally: &Tally, is_first: bool) -> Self {
        let Tally { wire, sockets, .. } = tally;
        let seen = [wire.received, wire.transmitted, sockets.transmitted];
        let is_opening = seen.iter().any(|counters| counters.syn > 0);
        let is_new = !is_first && (is_opening || flow.transport == Transport::Udp);
        let layers = if is_new { Layers::of_new_flow() } else { Layers::default() };
        Self { layers, ..Self::default() }
    }

    /// One of the layers is not watched.
    pub(super) const fn pause_layers(&mut self) {
        self.layers.pause();
    }

    /// What got lost between the device and the sockets.
    pub(super) const fn difference(&self) -> Difference {
        self.layers.difference
    }

    /// Takes in the counts of a snapshot, and the route to the peer if it was asked for. Where the sockets
    /// tell which handshakes were completed, it is they who are believed.
    pub fn advance(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        route: Option<&Route>,
        sees_handshakes: bool,
        now: Timestamp,
    ) {
        // What the host sends itself passes no device.
        if !flow.loopback {
            self.layers.advance(tally);
        }
        let wire = &tally.wire;
        let (request, answer, last_request, last_answer) = match flow.side {
            Side::Client => {
                (wire.transmitted, wire.received, wire.last_transmitted, wire.last_received)
            }
            Side::Server => {
                (wire.received, wire.transmitted, wire.last_received, wire.last_transmitted)
            }
        };
        self.failure.take_if(|failure| now.duration_since(failure.last) > DEFAULT_WINDOW);
        let zero = (Counters::ZERO, Counters::ZERO);
        let (request_before, answer_before) = self.seen.replace((request, answer)).unwrap_or(zero);
        let more = |now: u64, before: u64| now.saturating_sub(before);

        if flow.transport == Transport::Udp {
            let lost = evidence::answers_lost_after_the_wire(tally, flow.side);
            let delivered = answer.packets.saturating_sub(lost);
            let answered = delivered > self.delivered;
            self.delivered = self.delivered.max(delivered);
            if answered && request.packets > 0 {
                self.last_success = last_answer;
                self.failure = None;
            }
            self.note_lost_datagrams(flow, tally, last_answer.filter(|_| answered), now);
            return;
        }

        let hidden = self.attempts_before_the_wire(flow, tally);
        let attempts = more(request.syn, request_before.syn).max(hidden);
        let not_sent = self.attempts_not_sent(tally, route, now);
        if attempts > 0 {
            self.wait_for(attempts, last_request.unwrap_or(now));
        } else if more(answer.packets, answer_before.packets) > 0
            && more(request.packets, request_before.packets) > 0
            && self.pending.is_none()
        {
            // A connection that is open already.
            self.last_success = last_answer;
        }
        let granted = more(answer.syn_ack, answer_before.syn_ack) > 0;
        let spoken = |counters: &Counters| counters.packets.saturating_sub(counters.syn);
        let speaks = more(spoken(&request), spoken(&request_before)) > 0;
        self.handshakes.advance(tally, granted && self.pending.is_some(), speaks);
        let has_sockets = sees_handshakes && wire.forwarded == 0;
        // A scanner answers with RST.
        if self.handshakes.are_completed(has_sockets)
            || self.handshakes.granted && more(request.rst, request_before.rst) > 0
        {
            return self.succeed(last_answer);
        }
        if let Some((attempts, error, last)) = not_sent {
            self.wait_for(attempts, last.unwrap_or(now)).attempt = Attempt::NotSent { error };
            self.fail();
        }
        let Some(pending) = &mut self.pending else {
            return;
        };
        if more(answer.rst, answer_before.rst) > 0 {
            pending.attempt = Attempt::Refused;
            self.fail();
        } else if now.duration_since(pending.since) >= ANSWER_GRACE {
            // A service that waits for data before it accepts: the peer is content with the answer.
            let Handshakes { granted, spoken, .. } = self.handshakes;
            if granted && spoken && pending.attempts == 1 && self.failure.is_none() {
                return self.succeed(last_answer);
            }
            if granted {
                pending.attempt = Attempt::HalfOpen;
            }
            self.fail();
        } else if evidence::is_decided(flow, tally, pending.since) {
            self.fail();
        }
    }

    const fn succeed(&mut self, at: Option<Timestamp>) {
        self.last_success = at;
        self.last_opened = at;
        self.pending = None;
        self.failure = None;
        self.handshakes.end();
    }

    /// New attempts that are not answered yet.
    fn wait_for(&mut self, attempts: u64, last: Timestamp) -> &mut Failure {
        let attempt = Attempt::Unanswered;
        let pending =
            self.pending.get_or_insert(Failure { attempt, since: last, last, attempts: 0 });
        pending.last = last;
        pending.attempts += attempts;
        pending
    }

    /// Datagrams have no handshake: only those fail that this host is proven to have dropped, or that
    /// were turned down by ICMP. An answer after them shows that it works, unless only some get through.
    fn note_lost_datagrams(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        answered: Option<Timestamp>,
        now: Timestamp,
    ) {
        let (lost, attempt, last) = evidence::lost_datagrams(flow, tally);
        let more = lost.saturating_sub(std::mem::replace(&mut self.made, lost));
        let works = attempt != Attempt::Lost && answered.is_some() && answered >= last;
        if more > 0 && !works {
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
        let server = flow.side == Side::Server;
        let dropped = |reason: &str| -> u64 {
            let openings = tally.dropped.iter().filter(|drop| {
                drop.opening && drop.received == server && (server || !drop.at_device)
            });
            openings.filter(|drop| *drop.reason == *reason).map(|drop| drop.packets).sum()
        };
        if server {
            // Attempts of peers that are dropped before the device's other programs.
            let made = dropped("XDP");
            return made.saturating_sub(std::mem::replace(&mut self.made, made));
        }
        // Without a reason: those that had left a socket are no attempts of their own.
        let sent = tally.sockets.transmitted.syn;
        let between = sent.saturating_sub(tally.wire.transmitted.syn);
        let untold = dropped(UNTOLD).saturating_sub(between);
        let made = sent + dropped("NETFILTER_DROP") + untold;
        made.saturating_sub(std::mem::replace(&mut self.made, made))
    }

    /// New attempts that were never sent, why, and when the last one was. The route tells why one did not
    /// begin; with a route it may be beginning at this moment, but not in the next snapshot any more.
    fn attempts_not_sent(
        &mut self,
        tally: &Tally,
        route: Option<&Route>,
        now: Timestamp,
    ) -> Option<(u64, u32, Option<Timestamp>)> {
        let Tally { not_begun, no_port, forbidden, .. } = tally;
        let known = self.not_sent;
        let new = not_begun.times.saturating_sub(known.not_begun);
        let no_port_now = no_port.times.saturating_sub(known.no_port);
        let forbidden_now = forbidden.times.saturating_sub(known.forbidden);
        let refused = new.min(known.beginning);
        let is_old = not_begun.last.is_none_or(|last| now.duration_since(last) > ANSWER_GRACE);
        let (failed, said) = match route {
            _ if forbidden_now > 0 => {
                (forbidden_now, Some((forbidden_now, FORBIDDEN, forbidden.last)))
            }
            // There was a route when they were made.
            _ if refused > 0 => (refused, Some((refused, REFUSED_UNSENT, not_begun.last))),
            Some(Route::None { error }) if new > 0 => (new, Some((new, *error, not_begun.last))),
            _ if no_port_now > 0 => (0, Some((no_port_now, NO_PORT, no_port.last))),
            // Of an earlier run, which has judged them.
            _ if is_old => (new, None),
            _ => (0, None),
        };
        self.not_sent = NotSent {
            not_begun: known.not_begun + failed,
            no_port: no_port.times,
            forbidden: forbidden.times,
            beginning: new.saturating_sub(failed),
        };
        said
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
        self.handshakes.end();
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

impl Handshakes {
    fn advance(&mut self, tally: &Tally, granted: bool, speaks: bool) {
        let told = tally.times(Outcome::Established);
        let new = told.saturating_sub(std::mem::replace(&mut self.told, told));
        self.new = [self.new[1], new];
        self.granted |= granted;
        self.spoken |= self.granted && speaks;
    }

    /// Whether one of them was: by the word of the sockets where there are any, else because the one who
    /// asked goes on after the answer.
    const fn are_completed(&self, has_sockets: bool) -> bool {
        self.granted && if has_sockets { self.new[0] + self.new[1] > 0 } else { self.spoken }
    }

    /// Nothing is pending any more.
    const fn end(&mut self) {
        self.granted = false;
        self.spoken = false;
    }
}
