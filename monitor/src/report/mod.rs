//! The report: what the daemon says, in the shape in which it says it.
//!
//! The JSON is relied on by others. A change that is not an addition bumps [`SCHEMA`].

mod build;
mod changes;
mod evidence;
mod probes;
pub mod text;
mod words;

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::build;
pub use changes::{Change, Changes, Finding};
pub use evidence::{
    Counts, Difference, Dropped, Evidence, Failing, IcmpErrors, IcmpTotals, MOST_FAILING, Peer,
    Route, Session, Share,
};
pub use probes::{Probe, ProbeResult, Probes};

use crate::discrepancy::{Cause, Verdict};

/// Version of the JSON.
pub const SCHEMA: u32 = 1;

/// A peer that scans this host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Scanner {
    /// Its address.
    pub address: String,
    /// How many documented ports it asked for in the last minute.
    pub ports: usize,
}

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
    /// Peers that scan this host now: what they do is neither use nor failure of a flow.
    #[serde(default)]
    pub scanners: Vec<Scanner>,
    /// Packets that were seen and not counted since counting began, by kind.
    pub loss: BTreeMap<String, u64>,
    /// How full the flow map is.
    pub flow_map: FlowMap,
    /// Open sessions that were not looked at, because they are too many.
    #[serde(default)]
    pub sessions_left_out: usize,
    /// How often messages of the kernel about interfaces got lost since the start. They are listed anew
    /// then.
    #[serde(default)]
    pub interface_overruns: u64,
    /// Every name among the peers, and what it stands for.
    #[serde(default)]
    pub names: Vec<Name>,
    /// What came of the daemon's own probes; `null` where the config asks for none.
    #[serde(default)]
    pub probes: Option<Probes>,
    /// The file that carries what was seen over a restart.
    #[serde(default)]
    pub state: Option<State>,
    /// What is unwise about how the daemon itself is set up, or what a capture lacks, a sentence each.
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
    /// Expectations that fail, the worst first.
    pub fn discrepancies(&self) -> impl Iterator<Item = &Expectation> {
        let failing = self.expectations.iter().filter(|e| e.verdict.is_discrepancy());
        let mut failing: Vec<&Expectation> = failing.collect();
        failing.sort_by_key(|failing| (Reverse(failing.verdict), failing.since));
        failing.into_iter()
    }

    /// How long it has been watched without a break.
    pub fn watched(&self) -> SignedDuration {
        self.taken.duration_since(self.watched_since.unwrap_or(self.started))
    }

    /// Whether nothing fails and nothing is unexpected.
    pub fn is_fine(&self) -> bool {
        self.discrepancies().next().is_none() && self.unexpected.is_empty()
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
