//! From what was counted for a failing flow to what stopped it.

use jiff::{SignedDuration, Timestamp};

use super::{Attempt, Cause, Failure, Verdict, reasons};
use crate::observe::{Drop, FlowId, Listening, Outcome, Side, Tally};

/// How much older than the first failed attempt its evidence can be: times are those of the kernel's
/// timer.
const BEFORE: SignedDuration = SignedDuration::from_secs(1);

/// The verdict of a failing flow, and its cause. One is named only if something was counted since the
/// first failed attempt that proves it.
pub(super) fn judge(
    flow: &FlowId,
    failure: &Failure,
    tally: &Tally,
    listeners: &[Listening],
) -> (Verdict, Cause) {
    let verdict = match failure.attempt {
        Attempt::Refused => Verdict::Refused,
        Attempt::Unanswered | Attempt::HalfOpen => Verdict::Blocked,
        Attempt::Lost => Verdict::Degraded,
    };
    let dropped = proof(tally, flow.side, failure.since);
    let cause = match (failure.attempt, flow.side, dropped) {
        // What answers with RST although the firewall dropped the attempt is the firewall.
        (Attempt::Refused, Side::Server, Some(Cause::LocalFirewallIn))
        | (Attempt::Refused, Side::Client, Some(Cause::LocalFirewallOut)) => {
            Cause::LocalFirewallReject
        }
        (_, Side::Server, Some(Cause::NoListener)) if listens_elsewhere(flow, listeners) => {
            Cause::WrongBind
        }
        (_, _, Some(cause)) => cause,
        (Attempt::Refused, Side::Client, None) => Cause::RemoteRefused,
        (_, Side::Client, None) => beyond(tally, failure.since),
        (Attempt::Unanswered | Attempt::HalfOpen, Side::Server, None)
            if is_queue_full(flow, tally, listeners) =>
        {
            Cause::AcceptQueueFull
        }
        (Attempt::HalfOpen, Side::Server, None) => Cause::NoAnswer,
        (_, Side::Server, None) => Cause::Undetermined,
    };
    (verdict, cause)
}

fn on_port<'a>(flow: &FlowId, listeners: &'a [Listening]) -> impl Iterator<Item = &'a Listening> {
    let (transport, port) = (flow.transport, flow.service_port);
    listeners.iter().filter(move |l| l.transport == transport && l.address.port() == port)
}

/// Whether what listens on the port does so on certain addresses, none of which can have been meant.
fn listens_elsewhere(flow: &FlowId, listeners: &[Listening]) -> bool {
    let mut on_port = on_port(flow, listeners).peekable();
    on_port.peek().is_some() && on_port.all(|listener| !listener.address.ip().is_unspecified())
}

/// Attempts came as far as the sockets, and a queue has no room for them.
fn is_queue_full(flow: &FlowId, tally: &Tally, listeners: &[Listening]) -> bool {
    tally.socket_received.syn > 0 && on_port(flow, listeners).any(|listener| listener.is_full)
}

/// Whether this host stops the attempts of a flow by itself, so that no answer need be waited for. A
/// full queue can have room the next time.
pub(super) fn is_stopped_here(flow: &FlowId, tally: &Tally, since: Timestamp) -> bool {
    proof(tally, flow.side, since).is_some_and(|cause| cause != Cause::QdiscDrop)
}

/// What the reason of the drops proves that were last seen.
fn proof(tally: &Tally, side: Side, since: Timestamp) -> Option<Cause> {
    let is_meant = |drop: &&Drop| is_request(drop, side) && is_since(drop.last, since);
    let latest = tally.dropped.iter().filter(is_meant).filter_map(|drop| {
        match reasons::meaning(&drop.reason, drop.received) {
            reasons::Meaning::Proof(cause) => Some((drop.last, cause)),
            reasons::Meaning::Noise(_) | reasons::Meaning::Loss => None,
        }
    });
    latest.max_by_key(|(last, _)| *last).map(|(_, cause)| cause)
}

/// Whether what was dropped asks for something: a segment that opens a connection, or a datagram to
/// the service.
fn is_request(drop: &Drop, side: Side) -> bool {
    drop.received == (side == Side::Server) && (drop.opening || drop.datagram)
}

/// Datagrams to the service that this host is proven to have dropped, and what became of the last.
pub(super) fn lost_datagrams(flow: &FlowId, tally: &Tally) -> (u64, Attempt, Option<Timestamp>) {
    let mut lost = (0, Attempt::Unanswered, None);
    for drop in tally.dropped.iter().filter(|drop| is_request(drop, flow.side)) {
        let attempt = match reasons::meaning(&drop.reason, drop.received) {
            reasons::Meaning::Proof(Cause::NoListener) => Attempt::Refused,
            reasons::Meaning::Proof(Cause::ReceiveBufferFull) => Attempt::Lost,
            reasons::Meaning::Proof(_) => Attempt::Unanswered,
            reasons::Meaning::Noise(_) | reasons::Meaning::Loss => continue,
        };
        lost.0 += drop.packets;
        if drop.last > lost.2 {
            (lost.1, lost.2) = (attempt, drop.last);
        }
    }
    lost
}

/// Why attempts that this host did not stop get no answer.
fn beyond(tally: &Tally, since: Timestamp) -> Cause {
    let unreachable = tally.outcomes.get(&Outcome::Unreachable).and_then(|what| what.last);
    if is_since(unreachable, since) {
        return Cause::RemoteUnreachable;
    }
    if is_since(tally.last_transmitted, since) { Cause::NoAnswer } else { Cause::Undetermined }
}

fn is_since(at: Option<Timestamp>, since: Timestamp) -> bool {
    at.is_some_and(|at| since.duration_since(at) <= BEFORE)
}
