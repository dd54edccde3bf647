//! The daemon's report, as its JSON has it: written down here once more, so that a change of the
//! format that its users would notice is noticed.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::Wire;

/// Everything that is known at a moment.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Version of the format.
    pub schema: u32,
    /// When the daemon was started.
    pub started: Timestamp,
    /// Since when it has been watched without a break.
    pub watched_since: Timestamp,
    /// When the counts were read.
    pub taken: Timestamp,
    /// The hooks.
    pub coverage: Vec<Hook>,
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// Flows that no expectation covers.
    pub unexpected: Vec<Unexpected>,
    /// How many these are.
    pub unexpected_total: usize,
    /// Peers that scan the host.
    pub scanners: Vec<Scanner>,
    /// Packets seen and not counted, by kind.
    pub loss: BTreeMap<String, u64>,
    /// How full the flow map is.
    pub flow_map: FlowMap,
    /// The names among the peers.
    pub names: Vec<Name>,
    /// The file that carries what was seen over a restart.
    pub state: Option<State>,
}

/// A peer that scans the host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Scanner {
    /// Its address.
    pub address: IpAddr,
    /// Documented ports that it asked for.
    pub ports: usize,
}

/// How many of a peer's attempts failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Share {
    /// Those that failed.
    pub failed: u64,
    /// All that ended.
    pub total: u64,
}

/// The file that carries what was seen over a restart.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    /// When it was last written.
    pub written: Option<Timestamp>,
    /// Why it could not be.
    pub fault: Option<String>,
}

/// One hook.
#[derive(Clone, Debug, Deserialize)]
pub struct Hook {
    /// Its name.
    pub hook: String,
    /// The interface that it is attached to.
    pub interface: Option<String>,
    /// Whether it watches.
    pub attached: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// One expectation and its verdict.
#[derive(Clone, Debug, Deserialize)]
pub struct Expectation {
    /// The system.
    pub system: String,
    /// The product.
    pub product: String,
    /// The flow.
    pub flow: String,
    /// `client` or `server`.
    pub side: String,
    /// The role of the peers.
    pub peer_group: String,
    /// Who says which machines they are: `any`, `config` or `document`.
    pub peers: String,
    /// The verdict.
    pub verdict: String,
    /// The cause of a discrepancy.
    pub cause: Option<String>,
    /// Since when the verdict stands.
    pub since: Timestamp,
    /// When a packet was last seen.
    pub last_seen: Option<Timestamp>,
    /// When the flow was last seen to work.
    pub last_success: Option<Timestamp>,
    /// What the verdict rests on.
    pub evidence: Evidence,
}

/// What a verdict rests on.
#[derive(Clone, Debug, Deserialize)]
pub struct Evidence {
    /// Counts by peer.
    pub peers: Vec<Peer>,
    /// How many different addresses were seen.
    pub peers_seen: usize,
    /// Peers whose attempts fail.
    pub failing: Vec<Failing>,
    /// Packets that the host dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// ICMP errors about packets of the flow.
    pub icmp: IcmpTotals,
    /// What became of attempts to connect.
    pub attempts: BTreeMap<String, u64>,
    /// What became of connections.
    pub outcomes: BTreeMap<String, u64>,
    /// Segments that the host sent again.
    pub retransmitted: u64,
    /// What got lost between the device and the sockets, where both are watched.
    pub difference: Option<Difference>,
    /// How many these are.
    pub failing_total: usize,
    /// Why nothing more can be said.
    pub reason: Option<String>,
}

/// Packets that one layer of the host saw, and the next one did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Difference {
    /// They reached no socket.
    pub received: u64,
    /// They left by no device.
    pub transmitted: u64,
}

/// How many ICMP errors there were about packets of a flow, by what they say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IcmpTotals {
    /// Those that the host received.
    pub received: BTreeMap<String, u64>,
    /// Those that it sent.
    pub transmitted: BTreeMap<String, u64>,
}

/// What was counted for one peer of the config.
#[derive(Clone, Debug, Deserialize)]
pub struct Peer {
    /// The peer as the config has it.
    pub peer: String,
    /// From the peer to the host.
    pub received: Counts,
    /// From the host to the peer.
    pub transmitted: Counts,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Packets on the wire.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Segments that ask for a connection.
    pub syn: u64,
    /// Segments that grant one.
    pub syn_ack: u64,
    /// Segments that end one.
    pub fin: u64,
    /// Segments that refuse or break one.
    pub rst: u64,
}

/// A peer whose attempts fail.
#[derive(Clone, Debug, Deserialize)]
pub struct Failing {
    /// Its address.
    pub address: String,
    /// The service port.
    pub port: u16,
    /// When the first attempt that failed began.
    pub since: Timestamp,
    /// When the last one was seen.
    pub last: Timestamp,
    /// Segments that asked for a connection.
    pub attempts: u64,
    /// How many failed, where some succeed.
    pub share: Option<Share>,
    /// The interface of the last one.
    pub interface: Option<String>,
    /// Why they fail.
    pub cause: String,
    /// What the host's kernel dropped of the flow.
    pub dropped: Vec<Dropped>,
    /// Why the last attempts were never sent.
    pub error: Option<String>,
    /// ICMP errors about packets of the flow.
    pub icmp: Vec<IcmpErrors>,
    /// How the host's kernel would send to it.
    pub route: Option<Route>,
    /// Open sessions that stopped working.
    pub sessions: Vec<Session>,
    /// How many these are.
    pub sessions_total: usize,
}

/// ICMP errors of one kind about packets of a flow.
#[derive(Clone, Debug, Deserialize)]
pub struct IcmpErrors {
    /// What they say.
    pub kind: String,
    /// Whether the host received them.
    pub received: bool,
    /// How many.
    pub packets: u64,
    /// When the last was seen.
    pub last: Option<Timestamp>,
}

/// How the host's kernel would send to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// By which interface.
    pub interface: Option<String>,
    /// The next machine on the way.
    pub gateway: Option<String>,
    /// Why there is no route.
    pub error: Option<String>,
}

/// An open session that stopped working.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// Its end at the host.
    pub local: SocketAddr,
    /// Its other end.
    pub remote: SocketAddr,
    /// When the trouble began.
    pub since: Timestamp,
    /// Seconds without a word before.
    pub quiet_seconds: i64,
    /// Retransmissions by timeout.
    pub retransmissions: u8,
    /// Bytes that nobody acknowledges.
    pub unacknowledged: u32,
    /// Bytes of data in a full segment.
    pub mss: u32,
    /// Whether it is still open.
    pub open: bool,
    /// Whether the host dropped segments of it.
    pub dropped_here: bool,
    /// Why it stopped.
    pub cause: String,
}

/// Packets that the host's kernel dropped for one reason.
#[derive(Clone, Debug, Deserialize)]
pub struct Dropped {
    /// The kernel's reason.
    pub reason: String,
    /// Whether they came in.
    pub received: bool,
    /// How many.
    pub packets: u64,
}

/// A flow that no expectation covers.
#[derive(Clone, Debug, Deserialize)]
pub struct Unexpected {
    /// The flow whose expectation it comes nearest to.
    pub flow: String,
    /// `client` or `server`.
    pub side: String,
    /// The other machine.
    pub peer: String,
    /// The service port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: String,
    /// Why no expectation covers it.
    pub cause: String,
    /// From the peer to the host.
    pub received: Counts,
    /// From the host to the peer.
    pub transmitted: Counts,
}

/// How full the flow map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct FlowMap {
    /// Flows in it.
    pub entries: usize,
    /// Flows that fit.
    pub capacity: u32,
}

/// A name among the peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Name {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Answers that differed from the one before.
    pub changes: u64,
    /// When the present answer was first given.
    pub since: Option<Timestamp>,
}

impl Counts {
    /// Packets and bytes alone.
    pub const fn wire(&self) -> Wire {
        Wire::new(self.packets, self.bytes)
    }
}

impl Report {
    /// What was lost, without the kinds of which nothing was.
    pub fn lost(&self) -> Vec<(&str, u64)> {
        let all = self.loss.iter().map(|(what, packets)| (what.as_str(), *packets));
        all.filter(|(_, packets)| *packets > 0).collect()
    }

    /// The interfaces with every hook attached.
    pub fn watched(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .coverage
            .iter()
            .filter(|hook| hook.attached)
            .filter_map(|hook| hook.interface.as_deref())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// An expectation: flow, side and group of peers.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a>(pub &'a str, pub &'a str, pub &'a str);

impl Flow<'_> {
    /// Its part of a report.
    pub fn find<'r>(&self, report: &'r Report) -> &'r Expectation {
        let mut all = report.expectations.iter().filter(|expectation| {
            (&*expectation.flow, &*expectation.side, &*expectation.peer_group)
                == (self.0, self.1, self.2)
        });
        match (all.next(), all.next()) {
            (Some(expectation), None) => expectation,
            other => panic!("{self:?}: {other:?}"),
        }
    }

    /// What was received and transmitted, by all peers.
    pub fn counted(&self, report: &Report) -> (Wire, Wire) {
        self.find(report).evidence.peers.iter().fold(
            (Wire::default(), Wire::default()),
            |(received, transmitted), peer| {
                (received.and(peer.received.wire()), transmitted.and(peer.transmitted.wire()))
            },
        )
    }
}
