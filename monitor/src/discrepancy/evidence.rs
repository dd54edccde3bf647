//! From what was counted for a failing flow to what stopped it.

use jiff::{SignedDuration, Timestamp};

use super::{ANSWER_GRACE, Attempt, Cause, Failure, Verdict, reasons};
use crate::observe::{
    Attempts, Drop, FORBIDDEN, FlowId, IPSEC_BLOCKS, IcmpErrors, IcmpKind, Listening, NO_PORT,
    Netfilter, Odd, OpenAttempt, REFUSED_UNSENT, Route, Side, Tally, Transport, UNTOLD,
};

/// How much older than the first failed attempt its evidence can be: times are those of the kernel's
/// timer.
const BEFORE: SignedDuration = SignedDuration::from_secs(1);

/// How far apart a drop of the firewall and an ICMP error can be that belong together: the kernel sends
/// at least one a second while there is cause, and a segment is sent again after one second and after two.
const BETWEEN: SignedDuration = SignedDuration::from_secs(3);

/// The verdict of a failing flow, and its cause. One is named only if something was counted since the
/// first failed attempt that proves it.
pub(super) fn judge(
    flow: &FlowId,
    failure: &Failure,
    tally: &Tally,
    listeners: &[Listening],
    route: Option<&Route>,
) -> (Verdict, Cause) {
    let since = failure.began;
    let proof = proof(tally, flow, since);
    let cause = match (failure.attempt, flow.side, proof) {
        (Attempt::NotSent { error: NO_PORT | REFUSED_UNSENT }, ..) => Cause::Undetermined,
        (Attempt::NotSent { error: FORBIDDEN }, ..) => Cause::ForbiddenHere,
        (Attempt::NotSent { error: IPSEC_BLOCKS }, ..) => Cause::IpsecPolicy,
        (Attempt::NotSent { .. }, ..) => Cause::NoRoute,
        (_, _, Some((at, Cause::LocalFirewallIn | Cause::LocalFirewallOut)))
            if is_rejected(tally, at) =>
        {
            Cause::LocalFirewallReject
        }
        // What answers with RST although the firewall dropped the attempt is the firewall.
        (Attempt::Refused, Side::Server, Some((_, Cause::LocalFirewallIn)))
        | (Attempt::Refused, Side::Client, Some((_, Cause::LocalFirewallOut))) => {
            Cause::LocalFirewallReject
        }
        (Attempt::Refused, Side::Client, _) => Cause::RemoteRefused,
        (_, Side::Server, Some((_, Cause::NoListener))) => nothing_took_it(flow, tally, listeners),
        (_, _, Some((_, cause))) => cause,
        (attempt, Side::Client, None) => {
            let dropped = dropped_answer(tally, flow.side, since);
            let is_answered = attempt == Attempt::HalfOpen;
            let otherwise = || if is_answered { Cause::Undetermined } else { beyond(tally, since) };
            dropped.unwrap_or_else(otherwise)
        }
        (Attempt::Unanswered | Attempt::HalfOpen, Side::Server, None)
            if is_queue_full(flow, tally, listeners) =>
        {
            Cause::AcceptQueueFull
        }
        (Attempt::HalfOpen, Side::Server, None) => Cause::NoAnswer,
        (Attempt::Unanswered, Side::Server, None) if is_answered_elsewhere(tally, since) => {
            Cause::AnsweredFromAnotherAddress
        }
        (Attempt::Unanswered, Side::Server, None) => {
            // The attempts reach a socket, and its answers have no way back.
            let has_no_way =
                tally.sockets.received.syn > 0 && matches!(route, Some(Route::None { .. }));
            let otherwise = || if has_no_way { Cause::NoRoute } else { Cause::Undetermined };
            dropped_answer(tally, flow.side, since).unwrap_or_else(otherwise)
        }
        (_, Side::Server, None) => Cause::Undetermined,
    };
    let is_tcp = flow.transport == Transport::Tcp;
    let verdict = match (failure.attempt, cause) {
        // An ICMP error of this host can be about an earlier datagram.
        (_, cause) if !is_tcp && is_silent(cause) => Verdict::Blocked,
        (Attempt::Unanswered, cause) if is_silent(cause) => Verdict::Blocked,
        (Attempt::Refused, _) | (_, Cause::LocalFirewallReject | Cause::RemoteRefused) => {
            Verdict::Refused
        }
        // What the kernel says of an answer that finds no neighbor is for this host's own socket.
        (Attempt::Unanswered, Cause::NeighborUnreachable) => Verdict::Blocked,
        (Attempt::Unanswered, _) if is_turned_down(flow.side, tally, since) => Verdict::Refused,
        (
            Attempt::Unanswered | Attempt::HalfOpen | Attempt::Silent | Attempt::NotSent { .. },
            _,
        ) => Verdict::Blocked,
        (Attempt::Lost, _) => Verdict::Degraded,
    };
    (verdict, cause)
}

/// Whether what a cause stops is not turned down: the one who asked hears nothing.
const fn is_silent(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::LocalFirewallIn
            | Cause::LocalFirewallOut
            | Cause::ConnectionTableFull
            | Cause::RpFilter
            | Cause::NoRoute
            | Cause::QdiscDrop
            | Cause::TcDrop
            | Cause::XdpDrop
            | Cause::ForbiddenHere
            | Cause::IpsecPolicy
            | Cause::BadChecksum
            | Cause::OldSession
    )
}

/// Whether this host itself answers attempts by ICMP. Where its answers are dropped and the kernel does not
/// tell why, the errors can be about these, and for its own socket.
fn is_turned_down(side: Side, tally: &Tally, since: Timestamp) -> bool {
    let is_stuck = |drop: &Drop| {
        is_answer(drop, side) && &*drop.reason == UNTOLD && is_since(drop.last, since)
    };
    side == Side::Server
        && hard_errors(tally, false).any(|(at, _)| is_since(at, since))
        && !tally.dropped.iter().any(is_stuck)
}

/// Whether ICMP errors of this host went with what its firewall dropped last. They are limited in number,
/// so that not each drop has one.
fn is_rejected(tally: &Tally, dropped: Option<Timestamp>) -> bool {
    let Some(dropped) = dropped else { return false };
    let is_near = |at: Timestamp| dropped.duration_since(at) <= BETWEEN;
    hard_errors(tally, false).any(|(at, _)| at.is_some_and(is_near))
}

/// When ICMP errors last said that a packet goes no further, and what that means to the one who sent it.
fn hard_errors(tally: &Tally, received: bool) -> impl Iterator<Item = (Option<Timestamp>, Cause)> {
    let errors = tally.icmp.iter().filter(move |errors| errors.received == received);
    errors.filter_map(|errors| Some((errors.last, meaning(errors.kind)?)))
}

/// What an ICMP error says to the one who sent the packet; a packet that is too big can be sent smaller.
const fn meaning(kind: IcmpKind) -> Option<Cause> {
    match kind {
        IcmpKind::Unreachable => Some(Cause::RemoteUnreachable),
        IcmpKind::PortUnreachable => Some(Cause::RemoteRefused),
        IcmpKind::Prohibited => Some(Cause::RemoteProhibited),
        IcmpKind::TooBig => None,
    }
}

fn on_port<'a>(flow: &FlowId, listeners: &'a [Listening]) -> impl Iterator<Item = &'a Listening> {
    let (transport, port) = (flow.transport, flow.service_port);
    listeners.iter().filter(move |l| l.transport == transport && l.address.port() == port)
}

/// Why no socket took the last attempt: what listened on the port then was not for it, or nothing listened;
/// or something does by now.
fn nothing_took_it(flow: &FlowId, tally: &Tally, listeners: &[Listening]) -> Cause {
    let is_refusal = |drop: &&Drop| &*drop.reason == "NO_SOCKET" && is_request(drop, flow.side);
    let refusal = tally.dropped.iter().filter(is_refusal).max_by_key(|drop| drop.last);
    let Some((drop, at)) = refusal.and_then(|drop| Some((drop, drop.last?))) else {
        return Cause::NoListener;
    };
    let takes =
        |listener: &Listening| listener.takes(flow.peer, drop.own, drop.interface.as_deref());
    let on_port = || on_port(flow, listeners);
    if on_port().any(|listener| listener.is_there() && takes(listener)) {
        Cause::ListensAgain
    } else if on_port().any(|listener| listener.may_be_of(at) && !takes(listener)) {
        Cause::WrongBind
    } else {
        Cause::NoListener
    }
}

/// Attempts came as far as the sockets, and a queue has no room for them.
fn is_queue_full(flow: &FlowId, tally: &Tally, listeners: &[Listening]) -> bool {
    tally.sockets.received.syn > 0 && on_port(flow, listeners).any(|it| it.is_there() && it.is_full)
}

/// Whether the answer to an open attempt came from another address of this host than was asked.
fn is_answered_elsewhere(tally: &Tally, since: Timestamp) -> bool {
    let Attempts { open, odd: Odd { stray, .. }, .. } = &tally.attempts;
    stray.is_some_and(|stray| {
        let is_meant =
            |attempt: &&OpenAttempt| attempt.port == stray.port && attempt.own != stray.from;
        is_since(Some(stray.at), since) && open.iter().any(|attempt| is_meant(&attempt))
    })
}

/// Whether this host dropped the last segment of a handshake that began then: its asker takes the connection for
/// open, and no program ever gets it.
pub(super) fn is_cut_short(tally: &Tally, side: Side, began: Option<Timestamp>) -> bool {
    let is_last = |drop: &&Drop| is_last_of_handshake(drop, side);
    let mut last = tally.dropped.iter().filter(is_last);
    last.any(|drop| began.is_some_and(|began| is_since(drop.last, began)))
}

/// Whether no answer to the attempts need be waited for: this host stops them, or ICMP answered them. A
/// full queue can have room the next time, damage can be chance, and an asker that hears of its old session
/// ends it and asks again.
pub(super) fn is_decided(flow: &FlowId, tally: &Tally, since: Timestamp) -> bool {
    let is_final = |cause| {
        !matches!(
            cause,
            Cause::QdiscDrop | Cause::AcceptQueueFull | Cause::BadChecksum | Cause::OldSession
        )
    };
    proof(tally, flow, since).is_some_and(|(_, cause)| is_final(cause))
        || is_turned_down(flow.side, tally, since)
}

/// What was last seen that proves a cause, and when: drops by their reason, and what others say by ICMP of
/// requests of this host.
fn proof(tally: &Tally, flow: &FlowId, since: Timestamp) -> Option<(Option<Timestamp>, Cause)> {
    let side = flow.side;
    // What the host sends itself is dropped on its way out, and was to be received.
    let asks = |drop: &&Drop| {
        is_request(drop, side) || is_last_of_handshake(drop, side) || flow.loopback && drop.opening
    };
    let requests = tally.dropped.iter().filter(asks);
    let drops = requests.filter_map(|drop| match meaning_of(drop) {
        reasons::Meaning::Proof(cause) => Some((drop.last, cause)),
        reasons::Meaning::Noise(_) | reasons::Meaning::Loss => None,
    });
    let errors = hard_errors(tally, true).filter(|_| side == Side::Client);
    let proofs = drops.chain(errors).filter(|(last, _)| is_since(*last, since));
    proofs.max_by_key(|(last, _)| *last)
}

/// What stopped the answers at this host: those of its peers on the way in, its own on the way out.
fn dropped_answer(tally: &Tally, side: Side, since: Timestamp) -> Option<Cause> {
    let answers = tally.dropped.iter().filter(|drop| is_answer(drop, side));
    let proofs = answers.filter_map(|drop| Some((drop.last, stops_answers(drop)?)));
    let proofs = proofs.filter(|(last, _)| is_since(*last, since));
    proofs.max_by_key(|(last, _)| *last).map(|(_, cause)| cause)
}

/// What stopped an answer. One that its asker no longer waits for is no loss.
fn stops_answers(drop: &Drop) -> Option<Cause> {
    match meaning_of(drop) {
        reasons::Meaning::Proof(
            Cause::NoListener
            | Cause::ReceiveBufferFull
            | Cause::AcceptQueueFull
            | Cause::OldSession,
        )
        | reasons::Meaning::Noise(_)
        | reasons::Meaning::Loss => None,
        reasons::Meaning::Proof(cause) => Some(cause),
    }
}

fn is_answer(drop: &Drop, side: Side) -> bool {
    drop.received == (side == Side::Client)
}

/// Answers that were on the wire, and that this host did not let come to where they should; or may not
/// have, where the kernel does not tell why it dropped them.
pub(super) fn answers_lost_after_the_wire(tally: &Tally, side: Side) -> u64 {
    let is_after = |drop: &&Drop| match stops_answers(drop) {
        Some(cause) => drop.received || matches!(cause, Cause::TcDrop | Cause::QdiscDrop),
        None => drop.received && &*drop.reason == UNTOLD,
    };
    let answers = tally.dropped.iter().filter(|drop| is_answer(drop, side));
    answers.filter(is_after).map(|drop| drop.packets).sum()
}

/// What the drops say. Those by netfilter are its rules' where no other part of it can have done it.
fn meaning_of(drop: &Drop) -> reasons::Meaning {
    match drop.netfilter {
        Some(Netfilter::TableFull) => reasons::Meaning::Proof(Cause::ConnectionTableFull),
        Some(Netfilter::Unclear) => reasons::Meaning::Loss,
        None => reasons::meaning(&drop.reason, drop.received),
    }
}

/// Whether what was dropped ended handshakes for which the listener had no room.
fn is_last_of_handshake(drop: &Drop, side: Side) -> bool {
    let is_answered = drop.received && side == Side::Server && !drop.opening;
    is_answered && meaning_of(drop) == reasons::Meaning::Proof(Cause::AcceptQueueFull)
}

/// Whether what was dropped asks for something: a segment that opens a connection, or a datagram to
/// the service.
fn is_request(drop: &Drop, side: Side) -> bool {
    drop.received == (side == Side::Server) && (drop.opening || drop.datagram)
}

/// Datagrams that this host is proven to have dropped, those to the service and the answers, or that others
/// turned down by ICMP, and what became of the last.
pub(super) fn lost_datagrams(flow: &FlowId, tally: &Tally) -> (u64, Attempt, Option<Timestamp>) {
    let mut lost = (0, Attempt::Unanswered, None);
    for drop in tally.dropped.iter().filter(|drop| is_request(drop, flow.side)) {
        let attempt = match meaning_of(drop) {
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
    let answers = tally.dropped.iter().filter(|drop| is_answer(drop, flow.side));
    for drop in answers.filter(|drop| stops_answers(drop).is_some()) {
        lost.0 += drop.packets;
        if drop.last > lost.2 {
            (lost.1, lost.2) = (Attempt::Unanswered, drop.last);
        }
    }
    if flow.side == Side::Client {
        let is_hard = |errors: &&IcmpErrors| errors.received && meaning(errors.kind).is_some();
        for errors in tally.icmp.iter().filter(is_hard) {
            lost.0 += errors.packets;
            if errors.last > lost.2 {
                (lost.1, lost.2) = (Attempt::Unanswered, errors.last);
            }
        }
    } else if tally.dropped.is_empty() {
        // Where no drop is seen, as in a capture: what this host itself said of them.
        let is_hard = |errors: &&IcmpErrors| !errors.received && meaning(errors.kind).is_some();
        for errors in tally.icmp.iter().filter(is_hard) {
            lost.0 += errors.packets;
            if errors.last > lost.2 {
                (lost.1, lost.2) = (Attempt::Refused, errors.last);
            }
        }
    }
    lost
}

/// Why attempts that this host did not stop get no answer.
fn beyond(tally: &Tally, since: Timestamp) -> Cause {
    let is_too_big = |errors: &IcmpErrors| {
        errors.received && errors.kind == IcmpKind::TooBig && is_since(errors.last, since)
    };
    if tally.icmp.iter().any(is_too_big) {
        return Cause::Mtu;
    }
    if is_since(tally.wire.last_transmitted, since) { Cause::NoAnswer } else { Cause::Undetermined }
}

fn is_since(at: Option<Timestamp>, since: Timestamp) -> bool {
    at.is_some_and(|at| since.duration_since(at) <= BEFORE)
}

/// Open attempts that need not be waited for any longer.
pub(super) fn overdue<'a>(
    flow: &'a FlowId,
    tally: &'a Tally,
    now: Timestamp,
) -> impl Iterator<Item = &'a OpenAttempt> {
    let open = tally.attempts.open.iter().filter(|attempt| attempt.acknowledged.is_none());
    let is_alone = open.clone().nth(1).is_none();
    open.filter(move |attempt| {
        let OpenAttempt { began, port, answered, .. } = **attempt;
        let waited = now.duration_since(answered.unwrap_or(began));
        // Of several at a time, what is counted for the flow may be of another one.
        let is_meant = || {
            let mut dropped = tally.dropped.iter();
            is_alone
                || waited >= SignedDuration::from_secs(1)
                || dropped.any(|drop| drop.opening && drop.port == port)
        };
        waited >= ANSWER_GRACE || is_decided(flow, tally, began) && is_meant()
    })
}
