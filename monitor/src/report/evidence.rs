//! What a verdict rests on, in the shape of the report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::discrepancy::Cause;
pub use crate::discrepancy::MOST_FAILING;

/// What a verdict rests on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Counts by peer: as the config lists them, or `other` for an open group.
    pub peers: Vec<Peer>,
    /// How many different addresses were seen.
    pub peers_seen: usize,
    /// Packets that this host dropped, by the kernel's reason.
    pub dropped: BTreeMap<String, u64>,
    /// ICMP errors about packets of the flow.
    #[serde(default)]
    pub icmp: IcmpTotals,
    /// What became of attempts to connect, as the wire shows it: `completed`, `refused`, `unanswered`,
    /// `half-open` (answered, and the asker did not go on), `probed` (answered, and the asker reset it before a
    /// byte of data passed).
    #[serde(default)]
    pub attempts: BTreeMap<String, u64>,
    /// Attempts that were not followed, since too many were open.
    #[serde(default)]
    pub attempts_not_followed: u64,
    /// What became of connections, by outcome: `established`, `refused`, `timed-out`, `unreachable`,
    /// `reset`, `failed`.
    pub outcomes: BTreeMap<String, u64>,
    /// Segments that this host sent again.
    pub retransmitted: u64,
    /// Packets that got lost between the device and the sockets of this host since it is watched;
    /// `null` where one of the two layers is not.
    #[serde(default)]
    pub difference: Option<Difference>,
    /// Peers whose attempts fail, at most [`MOST_FAILING`].
    pub failing: Vec<Failing>,
    /// How many peers' attempts fail.
    pub failing_total: usize,
    /// Why nothing more can be said, for a verdict `unknown`; which peers were not seen; or which address
    /// of a name fails while another one works.
    pub reason: Option<String>,
}

/// Packets that one layer of this host saw, and the next one did not. None is counted for a flow that
/// the host passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// They came in by a device, and reached no socket.
    pub received: u64,
    /// A socket sent them, and they left by no device.
    pub transmitted: u64,
}

/// How many ICMP errors there were about packets of a flow, by what they say: `unreachable`,
/// `port-unreachable`, `prohibited`, `too-big`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct IcmpTotals {
    /// Those that this host received, about what it had sent.
    pub received: BTreeMap<String, u64>,
    /// Those that this host sent.
    pub transmitted: BTreeMap<String, u64>,
}

/// What was counted for one peer of the config.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// The peer, as the config has it, or `other`.
    pub peer: String,
    /// From the peer to this host, on the wire.
    pub received: Counts,
    /// From this host to the peer, on the wire.
    pub transmitted: Counts,
    /// What sockets of this host got from the peer; bytes begin with the IP header.
    pub socket_received: Counts,
    /// What sockets of this host sent to the peer; bytes begin with the IP header.
    pub socket_transmitted: Counts,
    /// When a packet was last seen, `null` for never.
    #[schemars(with = "Option<String>")]
    pub last_seen: Option<Timestamp>,
}

/// Counts of one direction since counting began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// TCP segments that ask for a connection.
    pub syn: u64,
    /// TCP segments that grant one.
    pub syn_ack: u64,
    /// TCP segments that end a connection.
    pub fin: u64,
    /// TCP segments that refuse or break one.
    pub rst: u64,
}

/// A peer whose attempts fail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Failing {
    /// Its address.
    pub address: String,
    /// The service port.
    pub port: u16,
    /// The transport.
    pub transport: String,
    /// When the first attempt that failed began.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When the last one was seen.
    #[schemars(with = "String")]
    pub last: Timestamp,
    /// SYN segments in between, each retransmission too, and attempts that were never sent; of UDP,
    /// datagrams that this host dropped or that were turned down by ICMP. 0 where only open sessions are
    /// stuck.
    pub attempts: u64,
    /// Of a peer that works in part: how many of its attempts failed.
    #[serde(default)]
    pub share: Option<Share>,
    /// Why the last attempts were never sent.
    #[serde(default)]
    pub error: Option<String>,
    /// The interface of the last one.
    pub interface: Option<String>,
    /// Why they fail.
    pub cause: Cause,
    /// What the kernel of this host dropped of the flow.
    pub dropped: Vec<Dropped>,
    /// ICMP errors about packets of the flow.
    #[serde(default)]
    pub icmp: Vec<IcmpErrors>,
    /// How the kernel would send to it now, where it was asked.
    #[serde(default)]
    pub route: Option<Route>,
    /// Open sessions that stopped working, the first one first, at most [`MOST_FAILING`].
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// How many did.
    #[serde(default)]
    pub sessions_total: usize,
}

/// How many of the attempts of the last ten minutes failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// Those that failed.
    pub failed: u64,
    /// All that ended.
    pub total: u64,
}

/// ICMP errors of one kind about packets of a flow.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IcmpErrors {
    /// What they say: `unreachable`, `port-unreachable`, `prohibited` or `too-big`.
    pub kind: String,
    /// Whether this host received them; else it sent them.
    pub received: bool,
    /// How many.
    pub packets: u64,
    /// When the first was seen.
    #[schemars(with = "Option<String>")]
    pub first: Option<Timestamp>,
    /// When the last was seen.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
}

/// How the kernel would send to a peer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// By which interface.
    pub interface: Option<String>,
    /// The next machine on the way, unless it is the peer.
    pub gateway: Option<String>,
    /// Why there is no route.
    pub error: Option<String>,
}

/// An open session that stopped working.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Its end at this host: address and port.
    pub local: String,
    /// Its other end.
    pub remote: String,
    /// When what is not acknowledged was first sent, or the first segment dropped.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Seconds for which nothing had been heard or acknowledged before.
    pub quiet_seconds: i64,
    /// Retransmissions by timeout in a row; 0 where only the peer sends.
    pub retransmissions: u8,
    /// Bytes that the peer does not acknowledge.
    pub unacknowledged: u32,
    /// Bytes of data in a full segment.
    pub mss: u32,
    /// Whether it is still open.
    pub open: bool,
    /// Whether this host dropped segments of it: its firewall, or what is not told before Linux 5.17.
    pub dropped_here: bool,
    /// Why it stopped.
    pub cause: Cause,
}

/// Packets that the kernel of this host dropped for one reason.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// The reason, as the kernel names it: `NETFILTER_DROP`.
    pub reason: String,
    /// Whether they came in; else this host sent them.
    pub received: bool,
    /// How many.
    pub packets: u64,
    /// When the first was dropped.
    #[schemars(with = "Option<String>")]
    pub first: Option<Timestamp>,
    /// When the last was dropped.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
    /// The interface of the last one.
    pub interface: Option<String>,
}
