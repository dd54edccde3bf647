//! Why an expectation fails.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $advice:literal;)+) => {
        /// Why an expectation fails, or why traffic is unexpected. One is named only with evidence.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize, JsonSchema,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in reports and labels.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What to try, in a sentence.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

causes! {
    /// This host's netfilter drops it on the way in.
    LocalFirewallIn = "local-firewall-in",
        "Allow the port in this host's firewall for traffic coming in.";
    /// This host's netfilter drops it on the way out.
    LocalFirewallOut = "local-firewall-out",
        "Allow the port in this host's firewall for traffic going out.";
    /// This host's netfilter turns it down although a listener exists.
    LocalFirewallReject = "local-firewall-reject",
        "Replace the reject rule for the port in this host's firewall.";
    /// This host's netfilter drops it because its table of connections is full.
    ConnectionTableFull = "connection-table-full",
        "The table of connections of this host's firewall is full: find out what fills it (conntrack -L), or raise net.netfilter.nf_conntrack_max.";
    /// A program or a filter at the service's cgroup or socket, or a security module, drops it.
    ForbiddenHere = "forbidden-here",
        "A program at the cgroup or the socket of the service forbids it: look at IPAddressDeny= in its unit (systemctl show), and at bpftool cgroup tree.";
    /// An `IPsec` policy of this host lets it pass only encrypted, or not at all.
    IpsecPolicy = "ipsec-policy",
        "An IPsec policy of this host stops it: ip xfrm policy shows which, and ip xfrm state whether there are keys for it.";
    /// An XDP program drops it before anything else sees it.
    XdpDrop = "xdp-drop",
        "Find the XDP program that drops it: ip link show, bpftool net.";
    /// It came in with a checksum that is wrong.
    BadChecksum = "bad-checksum",
        "Packets arrive damaged: look at checksum offloading of the cards and virtual devices on the way (ethtool -k), then at the cables.";
    /// Nothing listened on the port, and something does by now.
    ListensAgain = "listens-again",
        "Nothing listened on the port when it was last tried, and something does now: the next attempt will tell.";
    /// Nothing listens on the port.
    NoListener = "no-listener",
        "Start the service that should listen on the port.";
    /// Something listens on the port, on another address.
    WrongBind = "wrong-bind",
        "Let the service listen on the address that the peer uses.";
    /// The listener does not take connections fast enough.
    AcceptQueueFull = "accept-queue-full",
        "Find out why the service does not accept connections: it hangs or is overloaded.";
    /// This host still has an earlier connection of the same ports.
    OldSession = "old-session",
        "This host still has the peer's earlier connection open (ss -tn), and the answer to the new attempt does not end it: look for a firewall on the way that drops the ACK or the peer's RST, or close the old connection.";
    /// The service answers from another address than was asked.
    AnsweredFromAnotherAddress = "answered-from-another-address",
        "The service answers from another address of this host than the peer asked: bind it to that address, or fix the source of its answers (ip rule, ip route ... src).";
    /// The receiver does not take datagrams fast enough.
    ReceiveBufferFull = "receive-buffer-full",
        "Give the service a larger receive buffer, or find out why it does not read.";
    /// Reverse path filtering.
    RpFilter = "rp-filter",
        "Fix the route back to the peer, or loosen rp_filter on the interface.";
    /// No route to the peer.
    NoRoute = "no-route",
        "Add a route to the peer, which answers to it need too: ip route get shows what the kernel finds.";
    /// The next hop does not answer.
    NeighborUnreachable = "neighbor-unreachable",
        "Check that the peer or the gateway is up and on this network.";
    /// A queueing discipline drops it.
    QdiscDrop = "qdisc-drop", "Look at the interface's traffic shaping.";
    /// Another program at TC drops it.
    TcDrop = "tc-drop", "Find the TC program that drops it: tc filter show, bpftool net.";
    /// A packet is larger than the path takes.
    Mtu = "mtu", "Lower the MTU, or let ICMP through so that the path's MTU is found.";
    /// Our attempts leave this host, and nothing comes back.
    NoAnswer = "no-answer",
        "Attempts leave this host: look at the firewalls and routes on the way, and whether the peer is up.";
    /// The peer answers with RST.
    RemoteRefused = "remote-refused",
        "The peer turns the connection down: is its service running, and on this port?";
    /// An ICMP says that the peer cannot be reached.
    RemoteUnreachable = "remote-unreachable",
        "A router says that the peer cannot be reached: look at the routes on the way.";
    /// An ICMP says that a firewall forbids it.
    RemoteProhibited = "remote-prohibited",
        "A firewall on the way says no: allow the port there.";
    /// An established session went quiet and then only one side is heard.
    SessionInterrupted = "session-interrupted",
        "A firewall on the way forgot the session: raise its idle timeout or enable keepalives.";
    /// Full-size segments are retransmitted and nothing more is acknowledged.
    Stalled = "stalled", "Look for an MTU black hole: let ICMP fragmentation-needed through.";
    /// It is due, and nobody tried.
    NeverConnected = "never-connected",
        "Nobody tried: is the job scheduled, is the peer configured to use this host, is its service running?";
    /// A peer that the config does not declare.
    UnexpectedPeer = "unexpected-peer",
        "Declare the peer if it belongs to the system, else find out what it wants on the port.";
    /// A declared peer, the other way round.
    UnexpectedDirection = "unexpected-direction",
        "The connection is opened from the wrong end: check the roles in the config.";
    /// A port of an older version.
    LegacyPort = "legacy-port",
        "The peer still uses the port of an older version: update it.";
    /// Plain text where encryption is configured.
    PlaintextPort = "plaintext-port", "Enable encryption on this peer too.";
    /// The flow uses another documented port.
    PortMoved = "port-moved", "Set the port in the config, or set it back in the product.";
    /// Traffic follows an old address of a name.
    AddressChanged = "address-changed",
        "The name has another address: register by name, and let the peer look it up again.";
    /// The verdict stands, the reason is not known.
    Undetermined = "undetermined",
        "What is seen here does not tell where it is stopped: check the firewall of this host, then that something listens on the port (ss -ltn).";
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn json_and_name_agree() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
    }
}
