//! What the datagrams of one flow come to. They have no handshake: a question that is answered works, and
//! questions that nobody answers for a while do not.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Attempt, Failure, evidence, moved_by, track::ANSWER_GRACE};
use crate::observe::{FlowId, Tally, Wire};

/// Questions in a row without an answer that are no accident: programs ask again after a loss.
const ENOUGH: u64 = 3;

/// When a question of the other end last came that may be the answer to one of this flow: where both ends ask from
/// the service's port, nothing in a datagram says which of the two it is. `None` where silence is proven all the
/// same, since the other end had fewer questions without an answer.
pub(super) fn crossed(
    flow: &FlowId,
    failure: &Failure,
    turned: &Wire,
    answered: u64,
) -> Option<Timestamp> {
    let unanswered = turned.answers(flow.side).packets.saturating_sub(answered);
    let last = turned.last_answer(flow.side)?;
    // The kernel's times are told a little differently from snapshot to snapshot.
    let is_before = failure.since.duration_since(last) >= ANSWER_GRACE;
    (!is_before && failure.attempts < unanswered + ENOUGH).then_some(last)
}

/// The datagrams of one flow until now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Datagrams {
    /// Answers that nothing is known to have stopped.
    delivered: u64,
    /// Datagrams that are proven to be lost, or were turned down.
    lost: u64,
    questions: u64,
    /// Questions when the last answer came.
    answered: u64,
    /// When the first question without an answer was noticed.
    silent_since: Option<Timestamp>,
    failure: Option<Failure>,
}

impl Datagrams {
    /// What an earlier run had counted, and judged up to a moment.
    pub(super) fn of_earlier(flow: &FlowId, tally: &Tally, judged: Option<Timestamp>) -> Self {
        let (lost, _, last) = evidence::lost_datagrams(flow, tally);
        Self { lost: if last <= judged { lost } else { 0 }, ..Self::default() }
    }

    /// Takes in the counts of a snapshot. Gives when an answer last came, if one did.
    pub(super) fn advance(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let (wire, side) = (&tally.wire, flow.side);
        let (questions, answers) = (wire.requests(side), wire.answers(side));
        let (last_question, last_answer) = (wire.last_request(side), wire.last_answer(side));
        let stopped = evidence::answers_lost_after_the_wire(tally, flow.side);
        let delivered = answers.packets.saturating_sub(stopped);
        let is_answered = delivered > self.delivered && questions.packets > 0;
        self.delivered = self.delivered.max(delivered);
        if is_answered {
            self.failure = None;
            self.silent_since = None;
            self.answered = questions.packets;
        }
        self.questions = questions.packets;
        let unanswered = questions.packets.saturating_sub(self.answered);
        if unanswered > 0 && self.silent_since.is_none() {
            self.silent_since = Some(last_question.unwrap_or(now));
        }
        self.note_lost(flow, tally, last_answer.filter(|_| is_answered), now);
        self.note_silence(unanswered, last_question, now);
        last_answer.filter(|_| is_answered)
    }

    /// Whether questions go without an answer, or datagrams fail.
    pub(super) const fn is_eventful(&self) -> bool {
        self.failure.is_some() || self.silent_since.is_some()
    }

    /// How many questions there were when the last answer came.
    pub(super) const fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) const fn failing(&self) -> Option<Failure> {
        self.failure
    }

    /// Those fail that this host is proven to have dropped, or that were turned down by ICMP. An answer after
    /// them shows that it works, unless only some get through.
    fn note_lost(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        answered: Option<Timestamp>,
        now: Timestamp,
    ) {
        let (lost, attempt, last) = evidence::lost_datagrams(flow, tally);
        let more = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
        let works = attempt != Attempt::Lost && answered.is_some() && answered >= last;
        if more > 0 && !works {
            let last = last.unwrap_or(now);
            let (since, attempts) =
                self.failure.map_or((last, 0), |failure| (failure.since, failure.attempts));
            self.failure =
                Some(Failure { attempt, since, began: last, last, attempts: attempts + more });
        }
    }

    /// Questions that nobody answers fail after the time that an answer may take.
    fn note_silence(&mut self, unanswered: u64, last: Option<Timestamp>, now: Timestamp) {
        let Some(since) = self.silent_since else { return };
        let last = last.unwrap_or(now);
        let is_long = now.duration_since(since) >= ANSWER_GRACE;
        match &mut self.failure {
            Some(failure) if failure.attempt == Attempt::Silent => {
                (failure.last, failure.attempts) = (last, unanswered);
            }
            Some(_) => {}
            None if is_long && unanswered >= ENOUGH => {
                self.failure = Some(Failure {
                    attempt: Attempt::Silent,
                    since,
                    began: since,
                    last,
                    attempts: unanswered,
                });
            }
            None => {}
        }
    }

    /// What was seen until now is no failure.
    pub(super) const fn forgive(&mut self) {
        self.failure = None;
        self.silent_since = None;
        self.answered = self.questions;
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.silent_since = self.silent_since.map(|at| moved_by(at, by));
        self.failure = self.failure.map(|failure| failure.moved_by(by));
    }

    /// Ends a failure whose last datagram is as old as that.
    pub(super) fn forget(&mut self, older: SignedDuration, now: Timestamp) {
        self.failure.take_if(|failure| now.duration_since(failure.last) > older);
    }
}
