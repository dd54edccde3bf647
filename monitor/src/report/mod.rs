//! The report: what the daemon says, in the shape in which it says it.
//!
//! The JSON is relied on by others. A change that is not an addition bumps [`SCHEMA`].

mod build;
mod changes;
pub mod text;
mod words;

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::build;
pub use changes::{Change, Changes, Finding};

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
    /// When the monitor was started.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// Since when it has been watched without a break, over restarts too.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub watched_since: Option<Timestamp>,
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
    /// Open sessions that were not looked at, because they are too many.
    #[serde(default)]
    pub sessions_left_out: usize,
    /// Every name among the peers, and what it stands for.
    #[serde(default)]
    pub names: Vec<Name>,
    /// The file that carries what was seen over a restart.
    #[serde(default)]
    pub state: Option<State>,
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

/// The file that carries what was seen over a restart.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// Where it is.
    pub file: String,
    /// When it was last written, `null` for never.
    #[schemars(with = "Option<String>")]
    pub written: Option<Timestamp>,
    /// Why it could not be written the last time.
    pub fault: Option<String>,
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
    /// When the flow has to be seen, `null` where nothing says so.
    #[serde(default)]
    pub due: Option<String>,
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
    /// ICMP errors about packets of the flow.
    #[serde(default)]
    pub icmp: IcmpTotals,
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
    /// Why nothing more can be said, for a verdict `unknown`, or which peers were not seen.
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
    /// SYN segments in between, each retransmission too, and attempts that were never sent; of UDP,
    /// datagrams that this host dropped or that were turned down by ICMP. 0 where only open sessions are
    /// stuck.
    pub attempts: u64,
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
    /// Whether the firewall of this host dropped segments of it.
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

impl Expectation {
    /// What it is, from where to where, and the port. No two expectations have the same.
    pub fn place(&self) -> String {
        let Self { system, flow, peer_group, side, .. } = self;
        let (ports, transports) = (self.ports.join(","), self.transports.join(","));
        format!("{system}: {flow}, {}, port {ports}/{transports}", direction(side, peer_group))
    }
}

impl Unexpected {
    /// Where it is: from where to where, and the port. No two have the same.
    pub fn place(&self) -> String {
        let Self { system, flow, peer, side, port, transport, .. } = self;
        format!("{system}: {}, port {port}/{transport}, near {flow}", direction(side, peer))
    }
}

/// Who opens the connection, and to whom.
fn direction(side: &str, peers: &str) -> String {
    match side {
        "server" => format!("from {peers} to this host"),
        _ => format!("from this host to {peers}"),
    }
}
