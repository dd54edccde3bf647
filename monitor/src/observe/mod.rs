//! What was seen: one snapshot of the counts, with what it does not show.
//!
//! Pure: it names no kernel interface and reads no clock, so that a capture can stand in for the
//! kernel.

mod attempts;
mod flow;
mod flows;
mod ports;
mod session;
mod sum;
mod wire;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

pub use attempts::{Attempts, Ended, Odd, OpenAttempt, StrayAnswer};
pub use flow::FlowId;
pub use flows::{Flows, What};
use jiff::Timestamp;
pub use monitor_common::{AttemptEnd, Counters, IcmpKind, Loss, Outcome, Side, Transport};
pub use ports::PortSet;
use serde::{Deserialize, Serialize};
pub use session::Session;
pub use wire::{Sockets, Wire};

/// What was counted for a flow since counting began. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// What was seen of it on the wire.
    pub wire: Wire,
    /// What sockets of this host got and sent of it.
    pub sockets: Sockets,
    /// What became of attempts to connect, as the wire shows it.
    pub attempts: Attempts,
    /// What the kernel dropped, by reason.
    pub dropped: Vec<Drop>,
    /// ICMP errors about packets of the flow.
    pub icmp: Vec<IcmpErrors>,
    /// Attempts of this host that never began. One that begins at this moment can be among them.
    pub not_begun: Happened,
    /// Attempts of this host for which no local port was left.
    pub no_port: Happened,
    /// Attempts of this host that a program at the cgroup of whoever made them forbids.
    pub forbidden: Happened,
    /// What became of connections, as the sockets say, each outcome once.
    pub outcomes: Vec<(Outcome, Happened)>,
    /// Segments that this host sent again.
    pub retransmitted: Happened,
}

/// The reason of every drop where the kernel tells none: before Linux 5.17.
pub const UNTOLD: &str = "unknown";
/// The kernel's reason where it has none.
pub const UNNAMED: &str = "NOT_SPECIFIED";
/// The reason of what a program of XDP dropped.
pub const XDP: &str = "XDP";

/// Packets of a flow that the kernel dropped alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// The kernel's reason, without its prefix: `NETFILTER_DROP`.
    pub reason: Arc<str>,
    /// They came in by a device; else this host sent them.
    pub received: bool,
    /// They ask for a connection.
    pub opening: bool,
    /// They are datagrams to the service port.
    pub datagram: bool,
    /// Packets on the wire that they are or would have been.
    pub packets: u64,
    /// When the first was dropped.
    pub first: Option<Timestamp>,
    /// When the last was dropped.
    pub last: Option<Timestamp>,
    /// The interface of the last, where it has a name.
    pub interface: Option<Arc<str>>,
    /// The port of the last that is not the service's.
    pub port: u16,
    /// They were at a device; what this host sent had left its sockets by then.
    pub at_device: bool,
    /// This host's address in the last.
    pub own: Option<IpAddr>,
    /// Of those that netfilter dropped: which part of it other than the rules dropped the last, or may have.
    pub netfilter: Option<Netfilter>,
}

/// What in netfilter drops packets beside the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Netfilter {
    /// Its table of connections was full, and dropped at least as many.
    TableFull,
    /// Connection tracking dropped packets at the same time, and it cannot be told which.
    Unclear,
}

/// ICMP errors of one kind about packets of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IcmpErrors {
    /// What they say.
    pub kind: IcmpKind,
    /// This host received them, about what it had sent; else it sent them.
    pub received: bool,
    /// How many.
    pub packets: u64,
    /// When the first was seen.
    pub first: Option<Timestamp>,
    /// When the last was seen.
    pub last: Option<Timestamp>,
}

/// How the kernel would send to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// By a device.
    Out {
        /// The device, where it has a name.
        interface: Option<Arc<str>>,
        /// The next machine on the way, unless it is the peer.
        gateway: Option<IpAddr>,
    },
    /// Not at all.
    None {
        /// Why, as `errno` numbers it.
        error: u32,
    },
}

/// How often something happened, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// How often.
    pub times: u64,
    /// When last.
    pub last: Option<Timestamp>,
}

impl Drop {
    /// Whether this host's firewall dropped them, and they belong to connections that are open.
    pub fn cuts_sessions(&self) -> bool {
        &*self.reason == "NETFILTER_DROP" && !self.opening && !self.datagram
    }

    /// Whether it is not told why they were dropped, and they belong to connections that are open.
    pub fn may_cut_sessions(&self) -> bool {
        &*self.reason == UNTOLD && !self.opening && !self.datagram
    }
}

impl Tally {
    /// How often connections had an outcome.
    pub fn times(&self, outcome: Outcome) -> u64 {
        let mut outcomes = self.outcomes.iter();
        outcomes.find(|(other, _)| *other == outcome).map_or(0, |(_, happened)| happened.times)
    }
}

/// The hook at which packets reach a socket.
pub const SOCKET_INGRESS: &str = "socket-ingress";
/// The hook at which packets leave a socket.
pub const SOCKET_EGRESS: &str = "socket-egress";
/// The hook that tells what becomes of connections.
pub const CONNECTION: &str = "connection";
/// The hook that tells which segments are sent again.
pub const RETRANSMIT: &str = "retransmit";
/// The hook that tells which packets are dropped, and why.
pub const DROP: &str = "drop";

/// The hook that tells which attempts never begin.
pub const CONNECT: &str = "connect";

/// Every hook that belongs to no interface.
pub const MACHINE_HOOKS: [&str; 6] =
    [SOCKET_INGRESS, SOCKET_EGRESS, CONNECTION, RETRANSMIT, DROP, CONNECT];

/// Whether a hook watches what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name of the hook, as the metric's label has it.
    pub hook: &'static str,
    /// The interface, where the hook has one.
    pub interface: Option<String>,
    /// Why it is not attached, `None` where it is.
    pub fault: Option<String>,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// All that was seen until a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The moment.
    pub taken: Timestamp,
    /// Every flow in the map.
    pub flows: Flows,
    /// What tells this counting from others: counts go on as long as it is the same. `None` where nothing does.
    pub counting: Option<Arc<str>>,
    /// Flows that left the map since the last snapshot, with their final counts.
    pub evicted: Vec<(FlowId, Tally)>,
    /// How many flows are in the map of the wire.
    pub entries: usize,
    /// How many flows that map has room for.
    pub capacity: u32,
    /// Packets seen and not counted, since counting began.
    pub lost: BTreeMap<Loss, u64>,
    /// The hooks, and whether they watch.
    pub coverage: Vec<Hook>,
    /// What waits for peers on a documented port.
    pub listeners: Vec<Listening>,
    /// The routes to peers that were asked for.
    pub routes: BTreeMap<IpAddr, Route>,
    /// Open sessions on documented ports, `None` where nothing asked for a look at them.
    pub sessions: Option<Vec<Session>>,
    /// Open sessions that were left out, because they are too many.
    pub sessions_left_out: usize,
    /// How often messages of the kernel about interfaces got lost, since the start.
    pub interface_overruns: u64,
}

impl Snapshot {
    /// Whether both the device and the sockets are watched.
    pub fn compares_layers(&self) -> bool {
        self.watches(SOCKET_INGRESS) && self.watches(SOCKET_EGRESS)
    }

    /// Whether nothing is known to be wrong with a hook.
    pub fn watches(&self, hook: &str) -> bool {
        !self.coverage.iter().any(|other| other.hook == hook && other.fault.is_some())
    }
}

/// A socket of this host that waits for peers, or did when attempts failed that are judged now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listening {
    /// Its transport.
    pub transport: Transport,
    /// What it is bound to.
    pub address: SocketAddr,
    /// Of the IPv6 address that stands for all: those of IPv4 are not among them.
    pub only_ipv6: bool,
    /// The device that it is bound to, where it is bound to one.
    pub device: Option<Arc<str>>,
    /// Of a TCP socket: more connections wait to be accepted than may.
    pub is_full: bool,
    /// It did not wait before.
    pub after: Option<Timestamp>,
    /// It was last seen to wait, and no longer does.
    pub until: Option<Timestamp>,
}

impl Listening {
    /// One of TCP that waits all the time, for tests.
    #[cfg(test)]
    pub fn tcp(address: &str) -> Self {
        Self {
            transport: Transport::Tcp,
            address: address.parse().unwrap(),
            only_ipv6: false,
            device: None,
            is_full: false,
            after: None,
            until: None,
        }
    }

    /// Whether it waits now.
    pub const fn is_there(&self) -> bool {
        self.until.is_none()
    }

    /// Whether it may have waited at a moment.
    pub fn may_be_of(&self, moment: Timestamp) -> bool {
        self.after.is_none_or(|after| after <= moment)
            && self.until.is_none_or(|until| until >= moment)
    }

    /// Whether it takes what comes in for an address by a device, so far as these are known.
    pub fn takes(&self, peer: IpAddr, own: Option<IpAddr>, device: Option<&str>) -> bool {
        let bound = self.address.ip();
        let is_address = if bound.is_unspecified() {
            bound.is_ipv4() == peer.is_ipv4() || bound.is_ipv6() && !self.only_ipv6
        } else {
            own.is_some_and(|own| own == bound)
        };
        let is_device = match (&self.device, device) {
            (Some(bound), Some(device)) => **bound == *device,
            (Some(_), None) => false,
            (None, _) => true,
        };
        is_address && is_device
    }
}

/// The error of an attempt for which no local port is left.
pub const NO_PORT: u32 = 99;
/// The error of an attempt that a program at the cgroup of whoever made it forbids.
pub const FORBIDDEN: u32 = 1;
/// An attempt that an `IPsec` policy blocks. Its error is the same, so it has a number beyond those of
/// errors.
pub const IPSEC_BLOCKS: u32 = 4096;
/// An attempt that did not begin although there is a route: its error is not known.
pub const REFUSED_UNSENT: u32 = 4097;

/// What an error of `connect`, or of looking for a route, is called.
pub fn error_text(errno: u32) -> String {
    let text = match errno {
        FORBIDDEN => "a program at its cgroup forbids it",
        IPSEC_BLOCKS => "an IPsec policy blocks it",
        REFUSED_UNSENT => "refused by this host before anything was sent",
        13 => "a route prohibits it",
        22 => "a blackhole route takes it",
        NO_PORT => "no local port or address is left",
        101 => "network is unreachable",
        113 => "host is unreachable",
        _ => return format!("error {errno}"),
    };
    text.to_owned()
}

/// The name of a side in reports and labels.
pub const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// The name of a transport in reports and labels.
pub const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

/// `total -= less`, field by field.
pub const fn subtract(total: &mut Counters, less: &Counters) {
    let Counters { packets, bytes, syn, syn_ack, fin, rst } = less;
    total.packets -= *packets;
    total.bytes -= *bytes;
    total.syn -= *syn;
    total.syn_ack -= *syn_ack;
    total.fin -= *fin;
    total.rst -= *rst;
}

/// `total += more`, field by field.
pub const fn add(total: &mut Counters, more: &Counters) {
    let Counters { packets, bytes, syn, syn_ack, fin, rst } = more;
    total.packets += *packets;
    total.bytes += *bytes;
    total.syn += *syn;
    total.syn_ack += *syn_ack;
    total.fin += *fin;
    total.rst += *rst;
}
