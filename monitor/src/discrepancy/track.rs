//! What is seen of one flow, and what its attempts come to.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Attempt, DEFAULT_WINDOW, Difference, Failure, Share,
    attempts::{Failing, History, News},
    before_the_wire::{BeforeTheWire, NotSent},
    datagrams::Datagrams,
    evidence,
    layers::Layers,
    scan::WITHIN,
};
use crate::observe::{AttemptEnd, Counters, FlowId, OpenAttempt, Outcome, Route, Tally, Transport};

/// How long an attempt may go without an answer, from its own first SYN, and its asker without going on
/// after one. The first retransmission comes after a second, the second after three.
pub const ANSWER_GRACE: SignedDuration = SignedDuration::from_secs(5);

/// Ends without a success.
const IN_VAIN: [AttemptEnd; 3] =
    [AttemptEnd::Refused, AttemptEnd::Unanswered, AttemptEnd::HalfOpen];

/// The memory of one flow between snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Of what goes to the service and what comes from there: packets, SYN, SYN-ACK.
    seen: [[u64; 3]; 2],
    history: History,
    counted: Counted,
    /// Open attempts that fail, by own address and the asker's port, with their segments.
    overdue: Vec<(IpAddr, u16, u64)>,
    /// Segments with SYN of attempts that had failed when one last succeeded, those included that are still open.
    segments_before: u64,
    /// Those of failed attempts that were open when an earlier run ended.
    segments_carried: u64,
    /// Attempts that were never sent, likewise.
    unsent_before: u64,
    before_the_wire: Option<Box<BeforeTheWire>>,
    not_sent: Option<Box<NotSent>>,
    /// How many attempts were not followed, and when there were last more. Few flows have any.
    not_followed: Option<Box<(u64, Option<Timestamp>)>>,
    established: u64,
    /// SYN-ACK on the wire in the last two snapshots, and whether connections were established that it did not
    /// show.
    answers: [u64; 2],
    is_unshown: bool,
    datagrams: Option<Box<Datagrams>>,
    #[serde(skip)]
    layers: Layers,
    /// When the flow last worked, so far as it was no scan.
    used: Option<Timestamp>,
    /// Nobody but a scanner asked for it.
    scanned: bool,
    /// When both ends were last seen to talk.
    pub last_success: Option<Timestamp>,
    /// When a connection was last seen to be opened.
    pub last_opened: Option<Timestamp>,
}

/// How many attempts were taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    failed: u64,
    completed: u64,
    /// By how they ended, as in [`IN_VAIN`].
    ended: [u64; 3],
}

impl Track {
    /// Of a flow that is seen for the first time, in the first snapshot or in a later one. What ended before an
    /// earlier run did was judged by that one.
    pub(super) fn of(
        flow: &FlowId,
        tally: &Tally,
        is_first: bool,
        judged_until: Option<Timestamp>,
    ) -> Self {
        let Tally { wire, sockets, .. } = tally;
        let seen = [wire.received, wire.transmitted, sockets.transmitted];
        let is_opening = seen.iter().any(|counters| counters.syn > 0);
        let is_new = !is_first && (is_opening || flow.transport == Transport::Udp);
        let layers = if is_new { Layers::of_new_flow() } else { Layers::default() };
        let mut track = Self { layers, ..Self::default() };
        if is_first {
            // Counts of an earlier run: when the last attempts were says how they ended, not how many count.
            let completed = tally.attempts.ended(AttemptEnd::Completed);
            track.counted.completed = completed.times;
            track.counted.failed = ended_in_vain(tally);
            let mut is_judged = true;
            for (counted, end) in track.counted.ended.iter_mut().zip(IN_VAIN) {
                let ended = tally.attempts.ended(end);
                if ended.last <= judged_until {
                    *counted = ended.times;
                } else {
                    is_judged = false;
                }
            }
            // Of those that were not judged, the last one at least.
            track.segments_before = segments_in_vain(tally).saturating_sub(u64::from(!is_judged));
            let is_cut_short = evidence::is_cut_short(tally, flow.side, completed.began);
            track.last_success = completed.last.filter(|_| !is_cut_short);
            track.history.remember(track.last_success);
            track.established = tally.times(Outcome::Established);
            let judged = judged_until.max(track.last_success);
            track.before_the_wire = BeforeTheWire::of_earlier(flow, tally, judged);
            track.datagrams = (flow.transport == Transport::Udp)
                .then(|| Box::new(Datagrams::of_earlier(flow, tally, judged_until)));
            let not_followed = tally.attempts.odd.not_followed;
            track.not_followed = (not_followed > 0).then(|| Box::new((not_followed, None)));
        }
        track
    }

    /// The same for the next run. It compares the layers anew.
    pub(super) fn carried(&self) -> Self {
        Self { layers: Layers::default(), ..self.clone() }
    }

    /// The track of an earlier run goes on with the counts of this one. Attempts that were open are followed no
    /// more; those of them that had failed by then have failed, unless they are counted as ended by now.
    pub(super) fn resume(&mut self, tally: &Tally) {
        let [_, given_up @ ..] = IN_VAIN.map(|end| tally.attempts.ended(end).times);
        let [_, before @ ..] = self.counted.ended;
        let ended = given_up.iter().sum::<u64>().saturating_sub(before.iter().sum());
        let ended = usize::try_from(ended).unwrap_or(usize::MAX);
        for (_, _, segments) in self.overdue.iter().skip(ended) {
            self.counted.failed = self.counted.failed.saturating_sub(1);
            self.segments_carried += segments;
        }
    }

    /// Whether it has more to say than follows from the counts: attempts fail, or failed a while ago.
    pub(super) fn has_failed(&self, now: Timestamp) -> bool {
        self.history.is_eventful(now)
            || self.datagrams.as_ref().is_some_and(|datagrams| datagrams.is_eventful())
            || self.before_the_wire.as_ref().is_some_and(|before| before.waiting() > 0)
            || self.last_not_followed().is_some()
    }

    /// One of the layers is not watched.
    pub(super) const fn pause_layers(&mut self) {
        self.layers.pause();
    }

    /// What got lost between the device and the sockets.
    pub(super) const fn difference(&self) -> Difference {
        self.layers.difference
    }

    /// Takes in the counts of a snapshot, and the route to the peer if it was asked for.
    pub fn advance(&mut self, flow: &FlowId, tally: &Tally, route: Option<&Route>, now: Timestamp) {
        // What the host sends itself passes no device.
        if !flow.loopback {
            self.layers.advance(tally);
        }
        self.history.forget(DEFAULT_WINDOW, now);
        match flow.transport {
            Transport::Udp => {
                let datagrams = self.datagrams.get_or_insert_default();
                datagrams.forget(DEFAULT_WINDOW, now);
                self.last_success = datagrams.advance(flow, tally, now).max(self.last_success);
            }
            Transport::Tcp => self.follow(flow, tally, route, now),
        }
    }

    fn follow(&mut self, flow: &FlowId, tally: &Tally, route: Option<&Route>, now: Timestamp) {
        self.note_not_followed(tally, now);
        let success = self.new_success(flow, tally);
        let completed = tally.attempts.ended(AttemptEnd::Completed).times;
        let overdue: Vec<&OpenAttempt> = evidence::overdue(flow, tally, now).collect();
        let hidden = BeforeTheWire::advance(&mut self.before_the_wire, flow, tally, now);
        let not_sent = NotSent::advance(&mut self.not_sent, tally, route, now);
        let failed = ended_in_vain(tally)
            + overdue.len() as u64
            + self.before_the_wire.as_ref().map_or(0, |before| before.failed)
            + self.failed_unsent();
        let news = News {
            failed: difference(failed, self.counted.failed),
            succeeded: completed
                .saturating_sub(self.counted.completed)
                .max(u64::from(success.is_some())),
            success,
            failure: self.new_failure(tally, &overdue, hidden, not_sent),
        };
        (self.counted.failed, self.counted.completed) = (failed, completed);
        self.history.advance(&news, now);
        if let Some(at) = success {
            self.last_opened = Some(at);
            self.last_success = self.last_success.max(Some(at));
            let is_all_well = self.history.failing().is_none();
            if is_all_well {
                self.segments_carried = 0;
                let overdue = self.overdue.iter().map(|(.., segments)| segments);
                self.segments_before = segments_in_vain(tally) + overdue.sum::<u64>();
                self.unsent_before = self.failed_unsent();
            }
            if let Some(before) = &mut self.before_the_wire {
                before.succeed(is_all_well);
            }
        } else {
            self.note_open_connections(flow, tally);
        }
    }

    fn note_not_followed(&mut self, tally: &Tally, now: Timestamp) {
        let times = tally.attempts.odd.not_followed;
        if times > self.not_followed.as_ref().map_or(0, |before| before.0) {
            self.not_followed = Some(Box::new((times, Some(now))));
        }
    }

    /// When there were last attempts of which it is not known what became of them.
    pub(super) fn last_not_followed(&self) -> Option<Timestamp> {
        self.not_followed.as_ref()?.1
    }

    /// When an attempt last succeeded, if one did since the last snapshot: by the wire, else by the sockets
    /// of what the wire does not show (`IPsec`, another program's way around the device).
    fn new_success(&mut self, flow: &FlowId, tally: &Tally) -> Option<Timestamp> {
        let completed = tally.attempts.ended(AttemptEnd::Completed);
        let established = tally.times(Outcome::Established);
        let before = std::mem::replace(&mut self.established, established);
        let answers = tally.wire.answers(flow.side).syn_ack;
        let [older, last] = self.answers;
        self.answers = [last, answers];
        // The wire is read a moment before the sockets: its answer can be in the snapshot before or after.
        let is_shown = answers > older;
        let is_unshown = established > before && !is_shown;
        let is_hidden = std::mem::replace(&mut self.is_unshown, is_unshown) && !is_shown;
        if completed.times > self.counted.completed
            && !evidence::is_cut_short(tally, flow.side, completed.began)
        {
            completed.last
        } else if is_hidden {
            let mut outcomes = tally.outcomes.iter();
            outcomes.find(|(outcome, _)| *outcome == Outcome::Established)?.1.last
        } else {
            None
        }
    }

    /// Connections that are open: both ends talk, and nothing opens.
    fn note_open_connections(&mut self, flow: &FlowId, tally: &Tally) {
        let counted = |counters: &Counters| [counters.packets, counters.syn, counters.syn_ack];
        let seen =
            [counted(tally.wire.requests(flow.side)), counted(tally.wire.answers(flow.side))];
        let before = std::mem::replace(&mut self.seen, seen);
        let goes_on =
            |now: [u64; 3], before: [u64; 3]| now[0] > before[0] && now[1..] == before[1..];
        let is_opening = tally.attempts.open.iter().any(|attempt| attempt.acknowledged.is_none());
        if goes_on(seen[0], before[0]) && goes_on(seen[1], before[1]) && !is_opening {
            self.last_success = self.last_success.max(tally.wire.last_answer(flow.side));
        }
    }

    /// The last of the attempts that newly fail. What is new is told by counts, since times are those of the
    /// kernel's timer.
    fn new_failure(
        &mut self,
        tally: &Tally,
        overdue: &[&OpenAttempt],
        hidden: Option<(Timestamp, Timestamp)>,
        not_sent: Option<(u32, Timestamp)>,
    ) -> Option<Failing> {
        let mut all = Vec::new();
        for (counted, end) in self.counted.ended.iter_mut().zip(IN_VAIN) {
            let ended = tally.attempts.ended(end);
            let before = std::mem::replace(counted, ended.times);
            if ended.times > before
                && let (Some(began), Some(last)) = (ended.began, ended.last)
            {
                match end {
                    AttemptEnd::Refused => all.push((Attempt::Refused, began, last)),
                    // Given up: that it is not answered was noticed before, unless another took its place.
                    AttemptEnd::HalfOpen if self.overdue.is_empty() => {
                        all.push((Attempt::HalfOpen, began, began));
                    }
                    _ if self.overdue.is_empty() => all.push((Attempt::Unanswered, began, began)),
                    AttemptEnd::Completed
                    | AttemptEnd::Unanswered
                    | AttemptEnd::HalfOpen
                    | AttemptEnd::Probed => {}
                }
            }
        }
        // Exactly as many: in a flood every flow has one.
        let known = std::mem::replace(&mut self.overdue, Vec::with_capacity(overdue.len()));
        for open in overdue {
            let is_known = |known: &(IpAddr, u16, u64)| {
                (known.0, known.1) == (open.own, open.port) && known.2 >= open.segments
            };
            if !known.iter().any(is_known) {
                let attempt =
                    if open.answered.is_some() { Attempt::HalfOpen } else { Attempt::Unanswered };
                all.push((attempt, open.began, open.last));
            }
            self.overdue.push((open.own, open.port, open.segments));
        }
        all.extend(hidden.map(|(began, last)| (Attempt::Unanswered, began, last)));
        all.extend(not_sent.map(|(error, at)| (Attempt::NotSent { error }, at, at)));
        let since = all.iter().map(|(_, began, _)| *began).min()?;
        let (attempt, began, last) = all.into_iter().max_by_key(|(_, _, last)| *last)?;
        Some(Failing { attempt, since, began, last })
    }

    /// Decides whether what was seen is use, or a failure, at all: of a peer that scans it is neither.
    pub(super) fn judge_use(&mut self, scans: bool, now: Timestamp) {
        if scans {
            self.scanned |= self.used.is_none();
            self.last_success = self.used;
            self.history.forgive();
            if let Some(datagrams) = &mut self.datagrams {
                datagrams.forgive();
            }
            return;
        }
        let is_settled = |at: Timestamp| now.duration_since(at) > WITHIN;
        if self.last_success != self.used && self.last_success.is_some_and(is_settled) {
            self.used = self.last_success;
            self.scanned = false;
        }
    }

    /// How many datagrams had asked when the last answer came.
    pub(super) fn answered(&self) -> u64 {
        self.datagrams.as_ref().map_or(0, |datagrams| datagrams.answered())
    }

    /// Whether nobody but a scanner asked for it.
    pub(super) const fn is_scanned(&self) -> bool {
        self.scanned
    }

    /// Attempts that fail, those included that could still be answered, and the share of those of a flow
    /// that works in part.
    pub fn failing(&self, tally: &Tally) -> Option<(Failure, Option<Share>)> {
        if let Some(failure) = self.datagrams.as_ref().and_then(|datagrams| datagrams.failing()) {
            return Some((failure, None));
        }
        let (failure, share) = self.history.failing()?;
        let open = tally.attempts.open.iter().filter(|attempt| attempt.acknowledged.is_none());
        let last = open.clone().map(|attempt| attempt.last).max();
        let open: u64 = open.map(|attempt| attempt.segments).sum();
        let hidden = self.before_the_wire.as_ref().map_or(0, |before| before.waiting());
        let seen = segments_in_vain(tally) + self.segments_carried + open;
        let seen = seen.saturating_sub(self.segments_before);
        let unsent = self.failed_unsent() - self.unsent_before;
        let attempts = seen + hidden + unsent;
        Some((
            Failure { last: failure.last.max(last.unwrap_or(failure.last)), attempts, ..failure },
            share,
        ))
    }

    fn failed_unsent(&self) -> u64 {
        self.not_sent.as_ref().map_or(0, |unsent| unsent.failed)
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.history.set_clock(by);
        if let Some(datagrams) = &mut self.datagrams {
            datagrams.set_clock(by);
        }
        if let Some(before) = &mut self.before_the_wire {
            before.set_clock(by);
        }
    }

    /// Leaves a success that is not after a moment to those who said then what the counts mean: that
    /// the last answer was one does not follow from totals.
    pub fn forget_until(&mut self, moment: Option<Timestamp>) {
        self.last_success.take_if(|success| Some(*success) <= moment);
    }
}

fn difference(now: u64, before: u64) -> i64 {
    let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
    signed(now) - signed(before)
}

/// Attempts that ended without a success.
fn ended_in_vain(tally: &Tally) -> u64 {
    IN_VAIN.into_iter().map(|end| tally.attempts.ended(end).times).sum()
}

/// Segments with SYN of these.
fn segments_in_vain(tally: &Tally) -> u64 {
    IN_VAIN.into_iter().map(|end| tally.attempts.ended(end).segments).sum()
}
