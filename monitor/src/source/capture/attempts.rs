//! Attempts to connect, followed as the kernel programs do it.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use monitor_common::{
    AttemptEnd, Handshake,
    handshake::{Segment, Step},
};

use crate::{
    observe::{Attempts, Ended, FlowId, OpenAttempt, Tally},
    source::tallies::is_over,
};

/// A connection: its flow, this host's address, and the asker's port.
type Connection = (FlowId, IpAddr, u16);

/// The handshakes that are open, with times in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Handshakes(BTreeMap<Connection, Handshake>);

impl Handshakes {
    /// Takes in a segment of a connection of a flow.
    pub(super) fn follow(
        &mut self,
        connection: Connection,
        segment: Segment,
        at: Timestamp,
        tally: &mut Tally,
    ) {
        let now = milliseconds(at);
        let Some(handshake) = self.0.get_mut(&connection) else {
            if segment.is_opening() {
                self.0.insert(connection, Handshake::begin(segment, 0, now));
            }
            return;
        };
        let step = handshake.follow(segment, now);
        let (Step::Ended(end) | Step::Replaced(end)) = step else { return };
        close(&mut tally.attempts, handshake, end, now);
        if matches!(step, Step::Replaced(_)) {
            *handshake = Handshake::begin(segment, 0, now);
        } else {
            self.0.remove(&connection);
        }
    }

    /// Whether one of the flow is open with an asker's port.
    pub(super) fn is_open(&self, flow: &FlowId, port: u16) -> bool {
        self.0.keys().any(|(other, _, asker)| (other, *asker) == (flow, port))
    }

    /// Ends those whose time is over, and gives the others, as of a moment.
    pub(super) fn settle(&mut self, flows: &mut BTreeMap<FlowId, Tally>, now: Timestamp) {
        for tally in flows.values_mut() {
            tally.attempts.open.clear();
        }
        self.0.retain(|(flow, own, port), handshake| {
            let Some(tally) = flows.get_mut(flow) else { return false };
            let attempt = open(handshake, *own, *port);
            let is_over = is_over(&attempt, now);
            if is_over {
                close(&mut tally.attempts, handshake, handshake.state(), milliseconds(now));
            } else {
                tally.attempts.open.push(attempt);
            }
            !is_over
        });
        for tally in flows.values_mut() {
            tally.attempts.open.sort_unstable_by_key(|attempt| (attempt.began, attempt.port));
        }
    }
}

fn open(handshake: &Handshake, own: IpAddr, port: u16) -> OpenAttempt {
    OpenAttempt {
        own,
        port,
        began: moment(handshake.began).unwrap_or_default(),
        last: moment(handshake.last).unwrap_or_default(),
        segments: handshake.segments.into(),
        answered: moment(handshake.answered),
        acknowledged: moment(handshake.acknowledged),
    }
}

fn close(attempts: &mut Attempts, handshake: &Handshake, end: AttemptEnd, now: u64) {
    let before = attempts.ended(end);
    let ended = Ended {
        times: before.times + 1,
        segments: before.segments + u64::from(handshake.segments),
        began: moment(handshake.began),
        last: moment(handshake.ended_at(end, now)),
    };
    attempts.ended.retain(|(other, _)| *other != end);
    attempts.ended.push((end, ended));
}

/// Never 0, which stands for no time.
fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0).max(1)
}

fn moment(milliseconds: u64) -> Option<Timestamp> {
    let milliseconds = i64::try_from(milliseconds).ok().filter(|at| *at > 0)?;
    Timestamp::from_millisecond(milliseconds).ok()
}
