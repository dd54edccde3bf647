//! The evidence, put together by port.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use super::{Evidence, Seen, strength::has_port};
use crate::{
    expect::{Expectation, Standing},
    observe::{FlowId, Side, Transport, transport_name},
};

/// A port, and at which end of it this host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) side: Side,
    pub(super) transport: Transport,
    pub(super) port: u16,
}

/// What shows that a port is used.
#[derive(Clone, Debug, Default)]
pub(super) struct Use {
    /// Something waits for peers here.
    pub(super) is_listening: bool,
    /// Others than this host can reach it.
    pub(super) is_reachable: bool,
    /// The names of the processes that listen.
    pub(super) processes: BTreeSet<String>,
    /// The other machines.
    pub(super) peers: BTreeMap<IpAddr, Seen>,
}

/// Every port that is used.
pub(super) fn uses(evidence: &Evidence) -> BTreeMap<Port, Use> {
    let mut uses: BTreeMap<Port, Use> = BTreeMap::new();
    for listener in &evidence.listeners {
        let (side, transport, port) = (Side::Server, listener.transport, listener.address.port());
        let used = uses.entry(Port { side, transport, port }).or_default();
        used.is_listening = true;
        used.is_reachable |= !listener.address.ip().is_loopback();
        used.processes.extend(listener.process.clone());
    }
    for (flow, seen) in &evidence.flows {
        let FlowId { service_port: port, transport, side, loopback, peer } = *flow;
        if loopback || !is_machine(peer) {
            continue;
        }
        let used = uses.entry(Port { side, transport, port }).or_default();
        used.is_reachable = true;
        used.peers.insert(peer, *seen);
    }
    uses
}

/// Whether an address can be that of another machine.
fn is_machine(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

impl Port {
    /// Whether an expectation explains that the port is used so.
    pub(super) fn is_expected(self, used: &Use, expectation: &Expectation) -> bool {
        expectation.standing == Standing::Expected
            && expectation.key.side == self.side
            && expectation.transports.contains(&self.transport)
            && has_port(expectation, self.port)
            && (used.is_reachable || expectation.same_host)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, transport_name(self.transport))
    }
}
