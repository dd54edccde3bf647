//! Evidence in words.

use super::{Failing, Route};
use crate::{
    discrepancy::{Cause, Verdict},
    observe::IcmpKind,
};

/// What was seen of attempts, and how they were answered.
pub(super) fn attempts(failing: &Failing, verdict: Verdict, side: &str) -> String {
    let Failing { attempts, cause, error, .. } = failing;
    if let Some(error) = error {
        return format!("{attempts} attempts, none of which was sent: {error}");
    }
    if failing.transport == "udp" {
        let by_icmp = failing.dropped.is_empty();
        let what = if by_icmp { "turned down by ICMP" } else { "lost at this host" };
        return format!("{attempts} datagrams {what}");
    }
    let is_server = side == "server";
    let is_answer = |kind: &str| kind != IcmpKind::TooBig.name();
    let mut errors = failing.icmp.iter().filter(|errors| is_answer(&errors.kind));
    let by_icmp = errors.any(|errors| errors.received != is_server);
    let answer = match (verdict, is_server) {
        (Verdict::Refused, true) if by_icmp => "this host answers with ICMP",
        (Verdict::Refused, true) => "this host answers with RST",
        (Verdict::Refused, false) if *cause == Cause::LocalFirewallReject => {
            "this host turns them down itself"
        }
        (Verdict::Refused, false) if by_icmp => "it answers with ICMP",
        (Verdict::Refused, false) => "it answers with RST",
        (_, true) => "this host does not answer",
        (_, false) if by_icmp => "no answer but ICMP",
        (_, false) => "no answer",
    };
    let interface = failing.interface.as_deref().map(|name| format!(" on {name}"));
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
