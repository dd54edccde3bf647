//! Snapshots of what a capture shows: the packets of one host, placed and counted as the kernel
//! programs do it (`monitor-ebpf/src/wire.rs`).

mod blocks;
mod conversations;
mod copies;
mod file;
mod hosts;
mod icmp;
mod interface;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use jiff::Timestamp;
use monitor_common::{
    FlowKey, Loss, Side, Transport,
    packet::{self, End, FIN, Packet, RST, SYN, SYN_ACK, Skip},
};

pub use conversations::{Conversations, Placed, expected};
pub use copies::Copies;
pub use file::{Error, Frame, Place, Summary, read_from};
pub use hosts::Hosts;

use crate::observe::{Counters, FlowId, Hook, MACHINE_HOOKS, PortSet, Snapshot, Tally};

/// Counts the frames of a capture that was taken at a host.
#[derive(Debug)]
pub struct Capture {
    host: BTreeSet<IpAddr>,
    ports: PortSet,
    began: Timestamp,
    /// Flows with connections that were open before.
    open: BTreeSet<FlowId>,
    flows: BTreeMap<FlowId, Tally>,
    lost: BTreeMap<Loss, u64>,
}

/// Which port of a packet is the service port.
#[derive(Clone, Copy)]
enum Heading {
    ToService,
    FromService,
}

impl Capture {
    /// Nothing counted yet, of a host with these addresses, and with flows that are known to have
    /// connections which were opened before.
    pub fn new(
        host: BTreeSet<IpAddr>,
        ports: PortSet,
        began: Timestamp,
        open: BTreeSet<FlowId>,
    ) -> Self {
        let lost = Loss::ALL.into_iter().map(|loss| (loss, 0)).collect();
        Self { host, ports, began, open, flows: BTreeMap::new(), lost }
    }

    /// Counts a frame if it is of the host, and on a documented port.
    pub fn count(&mut self, frame: &Frame<'_>) {
        match packet::locate(frame.bytes, frame.link) {
            Ok(packet) => self.count_packet(frame, packet),
            Err(Skip::NotIp | Skip::OtherTransport) => {}
            Err(Skip::Icmp) => self.count_icmp(frame),
            Err(Skip::Fragment) => self.lose(Loss::Fragment),
            Err(Skip::Truncated | Skip::Malformed | Skip::Deeper) => self.lose(Loss::Unparsable),
        }
    }

    /// All that was counted, as of a moment.
    pub fn snapshot(&self, taken: Timestamp) -> Snapshot {
        let unseen = MACHINE_HOOKS.into_iter().map(|hook| Hook {
            hook,
            interface: None,
            fault: Some("a capture does not show it".to_owned()),
            since: self.began,
        });
        Snapshot {
            taken,
            flows: self.flows.iter().map(|(flow, tally)| (*flow, tally.clone())).collect(),
            evicted: Vec::new(),
            entries: self.flows.len(),
            capacity: 0,
            lost: self.lost.clone(),
            coverage: unseen.collect(),
            listeners: Vec::new(),
            routes: BTreeMap::new(),
            sessions: None,
            sessions_left_out: 0,
            interface_overruns: 0,
        }
    }

    fn count_packet(&mut self, frame: &Frame<'_>, packet: Packet) {
        let Some((source, destination)) = ends(frame.bytes, packet) else {
            return self.lose(Loss::Unparsable);
        };
        let to_service = self.ports.contains(packet.transport, packet.destination_port);
        let from_service = self.ports.contains(packet.transport, packet.source_port);
        let sent = is_own(&self.host, source);
        let received = is_own(&self.host, destination);
        if !(to_service || from_service) || !(sent || received) {
            return;
        }
        let Some(flags) = packet.tcp_flags(frame.bytes) else {
            return self.lose(Loss::Unparsable);
        };
        // Nothing of another machine crosses the loopback device: this host's firewall answers in its name.
        if frame.is_loopback && !sent {
            return self.count_forged(frame, packet, flags);
        }
        let loopback = sent && received;
        let flow = |heading| {
            let (service_port, side) = match heading {
                Heading::ToService if received => (packet.destination_port, Side::Server),
                Heading::ToService => (packet.destination_port, Side::Client),
                Heading::FromService if sent => (packet.source_port, Side::Server),
                Heading::FromService => (packet.source_port, Side::Client),
            };
            let from_here = sent && (!received || matches!(heading, Heading::FromService));
            let peer = if from_here { destination } else { source };
            FlowId { service_port, transport: packet.transport, side, loopback, peer }
        };
        let opening = flags & SYN_ACK;
        let known = |heading| self.is_known(&flow(heading));
        // Where flows are known for both ports, the lower one is more likely the service's.
        let rather_from = from_service && packet.source_port < packet.destination_port;
        let heading = match opening {
            SYN if to_service => Heading::ToService,
            SYN_ACK if from_service => Heading::FromService,
            SYN | SYN_ACK => return,
            _ if to_service && !rather_from && known(Heading::ToService) => Heading::ToService,
            _ if from_service && known(Heading::FromService) => Heading::FromService,
            _ if to_service
                && (known(Heading::ToService) || packet.transport == Transport::Udp) =>
            {
                Heading::ToService
            }
            _ => return self.lose(Loss::Unplaced),
        };
        let is_received = if loopback { matches!(heading, Heading::ToService) } else { received };
        let wire = &mut self.flows.entry(flow(heading)).or_default().wire;
        let (counters, last) = if is_received {
            (&mut wire.received, &mut wire.last_received)
        } else {
            (&mut wire.transmitted, &mut wire.last_transmitted)
        };
        *last = Some(frame.at);
        add(counters, frame.length, flags);
    }

    fn is_known(&self, flow: &FlowId) -> bool {
        self.flows.contains_key(flow) || self.open.contains(flow)
    }

    fn lose(&mut self, loss: Loss) {
        *self.lost.entry(loss).or_default() += 1;
    }
}

fn add(counters: &mut Counters, length: u64, flags: u8) {
    counters.packets += 1;
    counters.bytes += length;
    counters.syn += u64::from(flags & SYN_ACK == SYN);
    counters.syn_ack += u64::from(flags & SYN_ACK == SYN_ACK);
    counters.fin += u64::from(flags & FIN != 0);
    counters.rst += u64::from(flags & RST != 0);
}

/// Whether an address is one of a host with some addresses.
fn is_own(host: &BTreeSet<IpAddr>, address: IpAddr) -> bool {
    address.is_loopback() || host.contains(&address)
}

/// Source and destination of a packet.
fn ends(bytes: &[u8], packet: Packet) -> Option<(IpAddr, IpAddr)> {
    let address = |end| {
        let words = packet.address(bytes, end)?;
        let key = FlowKey::new(words, 0, packet.transport, Side::Client, false);
        Some(IpAddr::V6(Ipv6Addr::from(key.peer_octets())).to_canonical())
    };
    Some((address(End::Source)?, address(End::Destination)?))
}
