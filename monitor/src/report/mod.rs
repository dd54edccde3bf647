//! The report: what the daemon says, in the shape in which it says it.
//!
//! The JSON is relied on by others. A change that is not an addition bumps [`SCHEMA`].

mod build;
pub mod text;

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::build;

use crate::discrepancy::{Cause, Verdict};

/// Version of the JSON.
pub const SCHEMA: u32 = 1;

/// Everything that is known at a moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// Name of the host.
    pub host: String,
    /// Since when the monitor watches.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When the counts were read.
    #[schemars(with = "String")]
    pub taken: Timestamp,
    /// The hooks, and whether they watch.
    pub coverage: Vec<Hook>,
    /// Every expectation, by system, flow, side and peer group.
    pub expectations: Vec<Expectation>,
    /// Flows that no expectation covers, the most recent first.
    pub unexpected: Vec<Unexpected>,
    /// How many flows no expectation covers; more than are listed where they are very many.
    pub unexpected_total: usize,
    /// Packets that were seen and not counted since counting began, by kind.
    pub loss: BTreeMap<String, u64>,
    /// How full the flow map is.
    pub flow_map: FlowMap,
    /// Every name among the peers, and what it stands for.
    #[serde(default)]
    pub names: Vec<Name>,
    /// What is unwise about how the daemon itself is set up, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One hook.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// Its name.
    pub hook: String,
    /// The interface that it is attached to, where it has one.
    pub interface: Option<String>,
    /// Whether it watches.
    pub attached: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Since when it has been so.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// One expectation and its verdict.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The system, as the config names it.
    pub system: String,
    /// Id of the product in the catalog.
    pub product: String,
    /// Id of the flow in the catalog.
    pub flow: String,
    /// `client` where this host opens the connection, `server` where the peer does.
    pub side: String,
    /// The role of the peers, `self` for a flow that stays in the host.
    pub peer_group: String,
    /// Who says which machines these are.
    pub peers: PeerSource,
    /// The transports.
    pub transports: Vec<String>,
    /// The service ports: `50051`, `135-139` or `dynamic`.
    pub ports: Vec<String>,
    /// How the document puts it.
    pub requirement: String,
    /// What the flow is for.
    pub purpose: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The cause of a discrepancy.
    pub cause: Option<Cause>,
    /// Since when the verdict stands.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When a packet of the flow was last seen, `null` for never.
    #[schemars(with = "Option<String>")]
    pub last_seen: Option<Timestamp>,
    /// When the flow was last seen to work, `null` for never.
    #[schemars(with = "Option<String>")]
    pub last_success: Option<Timestamp>,
    /// What the verdict rests on.
    pub evidence: Evidence,
}

/// Who says which machines the peers of an expectation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerSource {
    /// Nobody: any machine counts as one.
    Any,
    /// The config.
    Config,
    /// The vendor's document.
    Document,
}

/// What a verdict rests on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Counts by peer: as the config lists them, or `other` for an open group.
    pub peers: Vec<Peer>,
    /// How many different addresses were seen.
    pub peers_seen: usize,
    /// Packets that this host dropped, by the kernel's reason.
    pub dropped: BTreeMap<String, u64>,
    /// What became of connections, by outcome: `established`, `refused`, `timed-out`, `unreachable`,
    /// `reset`, `failed`.
    pub outcomes: BTreeMap<String, u64>,
    /// Segments that this host sent again.
    pub retransmitted: u64,
    /// Peers whose attempts fail, at most [`MOST_FAILING`].
    pub failing: Vec<Failing>,
    /// How many peers' attempts fail.
    pub failing_total: usize,
    /// Why nothing more can be said, for a verdict `unknown`, or which peers were not seen.
    pub reason: Option<String>,
}

/// Failing peers that a report lists for one expectation.
pub const MOST_FAILING: usize = 8;

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
    /// SYN segments in between, each retransmission too; of UDP, datagrams that this host dropped.
    pub attempts: u64,
    /// The interface of the last one.
    pub interface: Option<String>,
    /// Why they fail.
    pub cause: Cause,
    /// What the kernel of this host dropped of the flow.
    pub dropped: Vec<Dropped>,
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

/// A flow that no expectation covers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Unexpected {
    /// The system whose expectation it comes nearest to.
    pub system: String,
    /// The product of that expectation.
    pub product: String,
    /// The flow of that expectation.
    pub flow: String,
    /// Which end this host is.
    pub side: String,
    /// The other machine.
    pub peer: String,
    /// The service port.
    pub port: u16,
    /// The transport.
    pub transport: String,
    /// Why no expectation covers it.
    pub cause: Cause,
    /// When it was first noticed.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When a packet was last seen.
    #[schemars(with = "Option<String>")]
    pub last_seen: Option<Timestamp>,
    /// From the peer to this host.
    pub received: Counts,
    /// From this host to the peer.
    pub transmitted: Counts,
}

/// How full the flow map is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FlowMap {
    /// Flows in it.
    pub entries: usize,
    /// Flows that fit.
    pub capacity: u32,
}

/// A name among the peers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Name {
    /// The name, as the config has it.
    pub name: String,
    /// Its addresses as last answered, none where it is not resolved.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpAddr>,
    /// Answers that differed from the one before.
    pub changes: u64,
    /// When the present answer was first given, `null` before the first.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

impl Report {
    /// Expectations that fail.
    pub fn discrepancies(&self) -> impl Iterator<Item = &Expectation> {
        self.expectations.iter().filter(|expectation| expectation.verdict.is_discrepancy())
    }
}
