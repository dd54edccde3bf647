//! Evidence in words.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    Expectation, Failing, Route, Session, Share,
    text::{age, moment},
};
use crate::{
    discrepancy::{
        Cause, Verdict,
        reasons::{self, Meaning},
    },
    observe::{IcmpKind, REFUSED_UNSENT, error_text},
};

/// What was seen of attempts, and how they were answered.
pub(super) fn attempts(failing: &Failing, verdict: Verdict, side: &str) -> String {
    let Failing { attempts, cause, error, .. } = failing;
    if let Some(error) = error {
        return format!("{attempts} attempts, none of which was sent: {error}");
    }
    if failing.transport == "udp" {
        let what = match (failing.dropped.is_empty(), failing.icmp.is_empty()) {
            (true, true) => "without an answer",
            (true, false) => "turned down by ICMP",
            (false, _) => "lost at this host",
        };
        return format!("{attempts} datagrams {what}");
    }
    let is_server = side == "server";
    let is_answer = |kind: &str| kind != IcmpKind::TooBig.name();
    let mut errors = failing.icmp.iter().filter(|errors| is_answer(&errors.kind));
    let by_icmp = errors.any(|errors| errors.received != is_server);
    let is_answer_dropped = failing.dropped.iter().any(|drop| {
        let proof = Meaning::Proof(*cause);
        drop.received != is_server && reasons::meaning(&drop.reason, drop.received) == proof
    });
    let answer = match (verdict, is_server) {
        (Verdict::Refused, true) if by_icmp => "this host answers with ICMP",
        (Verdict::Refused, true) => "this host answers with RST",
        (Verdict::Refused, false) if *cause == Cause::LocalFirewallReject => {
            "this host turns them down itself"
        }
        (Verdict::Refused, false) if by_icmp => "it answers with ICMP",
        (Verdict::Refused, false) => "it answers with RST",
        (_, true) if *cause == Cause::OldSession => "this host answers for an earlier connection",
        (_, true) if *cause == Cause::NoAnswer => "this host answers, and nothing comes back",
        (_, true) if is_answer_dropped => "this host drops its own answers",
        (_, true) => "this host does not answer",
        (_, false) if is_answer_dropped => "it answers, and this host drops the answers",
        (_, false) if by_icmp => "no answer but ICMP",
        (_, false) => "no answer",
    };
    let interface = failing.interface.as_deref().map(|name| format!(" on {name}"));
    if let Some(Share { failed, total }) = failing.share {
        let seen = interface.unwrap_or_default();
        return format!("{failed} of {total} attempts in 10 min failed{seen}: {answer}");
    }
    format!("{attempts} SYN seen{}, {answer}", interface.unwrap_or_default())
}

/// How the kernel would send to a peer.
pub(super) fn way(route: &Route, peer: &str) -> String {
    let Route { interface, gateway, error } = route;
    if let Some(error) = error {
        return format!("no route to {peer}: {error}");
    }
    let by = interface.as_deref().unwrap_or("a device without a name");
    let over = gateway.as_deref().map(|gateway| format!(" over {gateway}"));
    format!("route: by {by}{}", over.unwrap_or_default())
}

/// What to try: the same cause can ask for something else where open sessions stop, or at the server.
pub(super) fn advice(expectation: &Expectation, cause: Cause) -> &'static str {
    match (cause, expectation.verdict, expectation.side.as_str()) {
        (Cause::NoAnswer, Verdict::Degraded, _) => {
            "Look whether the peer is up, and at what changed on the way to it: its end was heard before."
        }
        (Cause::NoAnswer, _, "server") => {
            "Answers leave this host: look at the firewalls and routes on the way back to the peer."
        }
        (Cause::Undetermined, _, "client") if is_refused_unsent(expectation) => {
            "This host refuses the attempts before anything is sent: look at the programs at its cgroups (bpftool cgroup tree), at security modules (dmesg, ausearch -m avc) and at what the program asks for (strace -e connect)."
        }
        (Cause::Undetermined, _, "client") => {
            "What is seen here does not tell where it is stopped: check the firewall of this host, then that the peer's service runs and can be reached."
        }
        (Cause::ForbiddenHere, _, "client") => {
            "A program at the cgroup of the client forbids it: look at IPAddressDeny= in its unit (systemctl show), and at bpftool cgroup tree."
        }
        (Cause::LocalFirewallIn, _, "client") => {
            "Allow answers coming in through this host's firewall: those of established connections (ct state)."
        }
        (Cause::LocalFirewallOut, _, "server") => {
            "Allow answers going out through this host's firewall: those of established connections (ct state)."
        }
        (Cause::SessionInterrupted, _, _) if is_dropped_here(expectation) => {
            "This host's firewall forgot the session: raise its idle timeout (conntrack) or enable keepalives."
        }
        _ => cause.advice(),
    }
}

/// Whether attempts failed before anything was sent, and it is not known why.
fn is_refused_unsent(expectation: &Expectation) -> bool {
    let refused = error_text(REFUSED_UNSENT);
    let mut failing = expectation.evidence.failing.iter();
    failing.any(|failing| failing.error.as_ref() == Some(&refused))
}

/// Whether the firewall of this host drops segments of the session that stopped first.
fn is_dropped_here(expectation: &Expectation) -> bool {
    let mut sessions = expectation.evidence.failing.iter().flat_map(|failing| &failing.sessions);
    sessions.next().is_some_and(|session| session.dropped_here)
}

/// A session that stopped working.
pub(super) fn stuck(session: &Session, now: Timestamp, zone: &TimeZone) -> String {
    let Session { local, remote, retransmissions, unacknowledged, quiet_seconds, .. } = session;
    let what = match retransmissions {
        0 => "what the peer sends is dropped by this host".to_owned(),
        _ => format!(
            "{retransmissions} retransmissions without an answer, {unacknowledged} bytes wait"
        ),
    };
    let since = moment(session.since, now, zone);
    let before = match quiet_seconds {
        1.. => format!("; silent for {} before", age(SignedDuration::from_secs(*quiet_seconds))),
        _ => String::new(),
    };
    let end = if session.open { "" } else { "; it is closed now" };
    format!("session of {local} with {remote}: {what}; since {since}{before}{end}")
}
