//! When the open sessions are looked at, and which of them are kept.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::tallies::flow_id;
use crate::{
    kernel::{self, OpenSocket},
    observe::{Drop, FlowId, Flows, PortSet, Session, Transport, What},
};

/// How often sessions are looked at while nothing happens to those that are followed.
pub(super) const FOLLOW_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// How long after a sign of trouble sessions are looked at each time.
const TROUBLED_FOR: SignedDuration = SignedDuration::from_mins(1);

/// Sessions that are kept of a look.
const MOST: usize = 4096;

/// Whether segments were sent again a short time ago, or segments of open connections dropped by the
/// firewall, or by what is not told. Without either no session needs a look, which costs a walk through
/// all sockets.
pub(super) fn is_troubled(flows: &Flows, now: Timestamp) -> bool {
    let is_recent =
        |at: Option<Timestamp>| at.is_some_and(|at| now.duration_since(at) <= TROUBLED_FOR);
    let is_tcp = |flow: &FlowId| flow.transport == Transport::Tcp;
    let mut dropped = flows.dropped().filter(|(flow, _)| is_tcp(flow));
    let mut happened = flows.happened();
    let cuts = |drop: &Drop| drop.cuts_sessions() || drop.may_cut_sessions();
    dropped.any(|(_, drop)| cuts(drop) && is_recent(drop.last))
        || happened.any(|(_, (what, when))| *what == What::Retransmitted && is_recent(when.last))
}

/// The open sessions on documented ports, those first that send again, and how many were left out.
pub(super) fn sessions(documented: &PortSet) -> Result<(Vec<Session>, usize), kernel::Error> {
    let open = kernel::sessions(documented)?;
    let mut sessions: Vec<Session> = open
        .into_iter()
        .filter_map(|(key, socket)| Some(session(flow_id(&key)?, socket)))
        .collect();
    sessions.sort_by_key(|session| Reverse(session.retransmissions));
    let left_out = sessions.len().saturating_sub(MOST);
    sessions.truncate(MOST);
    Ok((sessions, left_out))
}

fn session(flow: FlowId, socket: OpenSocket) -> Session {
    let duration = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Session {
        flow,
        local: socket.local,
        remote: socket.remote,
        retransmissions: socket.retransmissions,
        timeout: socket.timeout.map(duration),
        unacknowledged: socket.unacknowledged,
        segments: socket.segments,
        arrived: socket.arrived,
        acknowledged: socket.acknowledged,
        heard: duration(socket.heard),
        sent: duration(socket.sent),
        window: socket.window,
        mss: socket.mss,
    }
}
