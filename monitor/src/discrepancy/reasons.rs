//! The kernel's reasons to drop a packet: which of them are no loss, and what the others prove.

use super::Cause;

/// What a reason says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing was lost: why not.
    Noise(&'static str),
    /// A packet was lost, and the reason names what did it.
    Proof(Cause),
    /// A packet was lost; what did it is not said.
    Loss,
}

/// Reasons without a loss, each with why nothing is lost.
const NOISE: &[(&str, &str)] = &[
    (
        "NOT_SPECIFIED",
        "the end of packets that were delivered, of closed sockets and of late segments",
    ),
    ("QUEUE_PURGE", "a socket was closed with something queued"),
    ("SOCKET_CLOSE", "a socket was closed with something queued"),
    ("TCP_CLOSE", "a segment came after the connection had ended"),
    ("TCP_OLD_DATA", "a duplicate of data that arrived"),
    ("TCP_OLD_ACK", "a late acknowledgement"),
    ("TCP_TOO_OLD_ACK", "a late acknowledgement"),
    ("TCP_OLD_SEQUENCE", "a window probe, a keepalive or a duplicate"),
    ("TCP_INVALID_SEQUENCE", "a window probe, a keepalive or a duplicate"),
    ("TCP_RFC7323_PAWS", "a duplicate that is older than the connection"),
    ("TCP_OFOMERGE", "data that arrived twice"),
    ("TCP_OFO_QUEUE_PRUNE", "data out of order, which will be sent again"),
    ("CONSUMED", "the packet was delivered"),
];

/// Reasons that name what dropped a packet.
const PROOFS: &[(&str, Cause)] = &[
    ("NO_SOCKET", Cause::NoListener),
    ("SOCKET_RCVBUFF", Cause::ReceiveBufferFull),
    ("PROTO_MEM", Cause::ReceiveBufferFull),
    ("IP_RPFILTER", Cause::RpFilter),
    ("IP_OUTNOROUTES", Cause::NoRoute),
    ("IP_INNOROUTES", Cause::NoRoute),
    ("NEIGH_FAILED", Cause::NeighborUnreachable),
    ("NEIGH_QUEUEFULL", Cause::NeighborUnreachable),
    ("QDISC_DROP", Cause::QdiscDrop),
    ("QDISC_OVERLIMIT", Cause::QdiscDrop),
    ("QDISC_CONGESTED", Cause::QdiscDrop),
    ("CAKE_FLOOD", Cause::QdiscDrop),
    ("FQ_BAND_LIMIT", Cause::QdiscDrop),
    ("FQ_HORIZON_LIMIT", Cause::QdiscDrop),
    ("FQ_FLOW_LIMIT", Cause::QdiscDrop),
    ("XDP", Cause::XdpDrop),
    ("SOCKET_FILTER", Cause::ForbiddenHere),
    ("BPF_CGROUP_EGRESS", Cause::ForbiddenHere),
    ("SECURITY_HOOK", Cause::ForbiddenHere),
    ("XFRM_POLICY", Cause::IpsecPolicy),
    ("IP_CSUM", Cause::BadChecksum),
    ("TCP_CSUM", Cause::BadChecksum),
    ("UDP_CSUM", Cause::BadChecksum),
    ("TCP_LISTEN_OVERFLOW", Cause::AcceptQueueFull),
    ("TCP_INVALID_SYN", Cause::OldSession),
    ("TCP_RFC7323_TW_PAWS", Cause::OldSession),
    ("TC_INGRESS", Cause::TcDrop),
    ("TC_EGRESS", Cause::TcDrop),
    ("PKT_TOO_BIG", Cause::Mtu),
];

/// What a reason says of a packet that came in, or that this host sent.
pub fn meaning(reason: &str, received: bool) -> Meaning {
    if reason == "NETFILTER_DROP" {
        let cause = if received { Cause::LocalFirewallIn } else { Cause::LocalFirewallOut };
        return Meaning::Proof(cause);
    }
    if let Some((_, why)) = NOISE.iter().find(|(name, _)| *name == reason) {
        return Meaning::Noise(why);
    }
    match PROOFS.iter().find(|(name, _)| *name == reason) {
        Some((_, cause)) => Meaning::Proof(*cause),
        None => Meaning::Loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firewall_is_told_by_direction() {
        assert_eq!(meaning("NETFILTER_DROP", true), Meaning::Proof(Cause::LocalFirewallIn));
        assert_eq!(meaning("NETFILTER_DROP", false), Meaning::Proof(Cause::LocalFirewallOut));
    }

    #[test]
    fn unknown_reason_is_a_loss_without_a_cause() {
        assert_eq!(meaning("unknown(0xbe)", true), Meaning::Loss);
        assert!(matches!(meaning("QUEUE_PURGE", true), Meaning::Noise(_)));
    }

    #[test]
    fn every_reason_stands_once() {
        let (noise, proofs) = (NOISE.iter().map(|row| row.0), PROOFS.iter().map(|row| row.0));
        let names: Vec<&str> = noise.chain(proofs).collect();
        let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
    }
}
