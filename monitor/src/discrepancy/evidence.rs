//! From what was counted for a failing flow to what stopped it.

use jiff::{SignedDuration, Timestamp};

use super::{Attempt, Cause, Failure, Verdict, reasons};
use crate::observe::{Drop, FlowId, Outcome, Side, Tally};

/// How much older than the first failed attempt its evidence can be: times are those of the kernel's
/// timer.
const BEFORE: SignedDuration = SignedDuration::from_secs(1);

/// The verdict of a failing flow, and its cause. One is named only if something was counted since the
/// first failed attempt that proves it.
pub(super) fn judge(flow: &FlowId, failure: &Failure, tally: &Tally) -> (Verdict, Cause) {
    let verdict = match failure.attempt {
        Attempt::Refused => Verdict::Refused,
        Attempt::Unanswered => Verdict::Blocked,
    };
    let dropped = proof(tally, flow.side, failure.since);
    let cause = match (failure.attempt, flow.side, dropped) {
        // What answers with RST although the firewall dropped the attempt is the firewall.
        (Attempt::Refused, Side::Server, Some(Cause::LocalFirewallIn))
        | (Attempt::Refused, Side::Client, Some(Cause::LocalFirewallOut)) => {
            Cause::LocalFirewallReject
        }
        (_, _, Some(cause)) => cause,
        (Attempt::Refused, Side::Client, None) => Cause::RemoteRefused,
        (Attempt::Unanswered, Side::Client, None) => beyond(tally, failure.since),
        (_, Side::Server, None) => Cause::Undetermined,
    };
    (verdict, cause)
}

/// Whether this host stops the attempts of a flow by itself, so that no answer need be waited for. A
/// full queue can have room the next time.
pub(super) fn is_stopped_here(flow: &FlowId, tally: &Tally, since: Timestamp) -> bool {
    proof(tally, flow.side, since).is_some_and(|cause| cause != Cause::QdiscDrop)
}

/// What the reason of the drops proves that were last seen.
fn proof(tally: &Tally, side: Side, since: Timestamp) -> Option<Cause> {
    let is_meant = |drop: &&Drop| {
        let asks = drop.received == (side == Side::Server);
        asks && drop.opening && is_since(drop.last, since)
    };
    let latest = tally.dropped.iter().filter(is_meant).filter_map(|drop| {
        match reasons::meaning(&drop.reason, drop.received) {
            reasons::Meaning::Proof(cause) => Some((drop.last, cause)),
            reasons::Meaning::Noise(_) | reasons::Meaning::Loss => None,
        }
    });
    latest.max_by_key(|(last, _)| *last).map(|(_, cause)| cause)
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
