//! What was seen: one snapshot of the counts, with what it does not show.
//!
//! Pure: it names no kernel interface and reads no clock, so that a capture can stand in for the
//! kernel.

mod ports;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use jiff::Timestamp;
pub use monitor_common::{Counters, Loss, Side, Transport};
pub use ports::PortSet;

/// What identifies an observed flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// The documented destination port.
    pub service_port: u16,
    /// The transport.
    pub transport: Transport,
    /// Which end this host is.
    pub side: Side,
    /// Both ends are this host.
    pub loopback: bool,
    /// The other machine.
    pub peer: IpAddr,
}

/// What was counted for a flow since counting began. Counts only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// From the peer to this host.
    pub received: Counters,
    /// From this host to the peer.
    pub transmitted: Counters,
    /// How many of the transmitted packets the host only passed on.
    pub forwarded: u64,
    /// When the last packet came from the peer.
    pub last_received: Option<Timestamp>,
    /// When the last packet left for the peer.
    pub last_transmitted: Option<Timestamp>,
    /// Where connections of the flow were last seen to open, where it has a name.
    pub interface: Option<String>,
}

impl Tally {
    /// When the last packet was seen in either direction.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_received.max(self.last_transmitted)
    }
}

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
    pub flows: BTreeMap<FlowId, Tally>,
    /// Flows that left the map since the last snapshot, with their final counts.
    pub evicted: Vec<(FlowId, Tally)>,
    /// How many flows the map has room for.
    pub capacity: u32,
    /// Packets seen and not counted, since counting began.
    pub lost: BTreeMap<Loss, u64>,
    /// The hooks, and whether they watch.
    pub coverage: Vec<Hook>,
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

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service_port, transport, side, loopback: _, peer } = self;
        let transport = transport_name(*transport);
        match side {
            Side::Client => write!(f, "to {peer} port {service_port}/{transport}"),
            Side::Server => write!(f, "from {peer} to port {service_port}/{transport}"),
        }
    }
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
