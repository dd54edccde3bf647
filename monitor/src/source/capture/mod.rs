//! Snapshots of what a capture shows: the packets of one host, placed and counted as the kernel
//! programs do it (`monitor-ebpf/src/wire.rs`).

mod attempts;
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
    attribution::{Documented, FlowTable, Heading, Path, Unattributed, attribute},
    handshake::Segment,
    packet::{self, End, FIN, Packet, RST, SYN, SYN_ACK, Skip},
};

use attempts::Handshakes;
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
    handshakes: Handshakes,
    lost: BTreeMap<Loss, u64>,
}

/// The flow of a packet by its heading, where it is known or opened.
struct Known<'a, F> {
    capture: &'a Capture,
    packet: Packet,
    flow: F,
}

impl<F: Fn(Heading) -> FlowId> FlowTable for Known<'_, F> {
    type Flow = FlowId;

    fn known(&mut self, heading: Heading) -> Option<FlowId> {
        Some((self.flow)(heading)).filter(|flow| self.capture.is_known(flow))
    }

    fn open(&mut self, heading: Heading) -> Option<FlowId> {
        Some((self.flow)(heading))
    }

    fn opening(&mut self) -> Option<Heading> {
        let is_open = |heading: Heading| {
            let (_, port) = heading.ports(&self.packet);
            self.capture.handshakes.is_open(&(self.flow)(heading), port)
        };
        match (is_open(Heading::ToService), is_open(Heading::FromService)) {
            (true, false) => Some(Heading::ToService),
            (false, true) => Some(Heading::FromService),
            _ => None,
        }
    }
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
        Self {
            host,
            ports,
            began,
            open,
            flows: BTreeMap::new(),
            handshakes: Handshakes::default(),
            lost,
        }
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
    pub fn snapshot(&mut self, taken: Timestamp) -> Snapshot {
        self.handshakes.settle(&mut self.flows, taken);
        let unseen = MACHINE_HOOKS.into_iter().map(|hook| Hook {
            hook,
            interface: None,
            fault: Some("a capture does not show it".to_owned()),
            since: self.began,
        });
        Snapshot {
            counting: None,
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
        let documented = Documented {
            destination: self.ports.contains(packet.transport, packet.destination_port),
            source: self.ports.contains(packet.transport, packet.source_port),
        };
        let sent = is_own(&self.host, source);
        let received = is_own(&self.host, destination);
        if !documented.any() || !(sent || received) {
            return;
        }
        let Some(flags) = packet.tcp_flags(frame.bytes) else {
            return self.lose(Loss::Unparsable);
        };
        // Nothing of another machine crosses the loopback device: this host's firewall answers in its name.
        if frame.is_loopback && !sent {
            return self.count_forged(frame, packet, flags);
        }
        let path = match (sent, received) {
            (true, true) => Path::Loopback,
            (true, false) => Path::Transmitted,
            (false, _) => Path::Received,
        };
        let at = |end| if end == End::Source { source } else { destination };
        let flow = |heading: Heading| {
            let (peer, side) = heading.ends(path);
            let peer = at(peer);
            let (service_port, _) = heading.ports(&packet);
            let loopback = path == Path::Loopback;
            FlowId { service_port, transport: packet.transport, side, loopback, peer }
        };
        let mut known = Known { capture: self, packet, flow };
        let (heading, flow) = match attribute(&packet, flags, documented, &mut known) {
            Ok(found) => found,
            Err(Unattributed::OtherService) => return,
            Err(Unattributed::UnknownFlow | Unattributed::NoRoom) => {
                return self.lose(Loss::Unplaced);
            }
        };
        let tally = self.flows.entry(flow).or_default();
        let (counters, last) = if heading.is_received(path) {
            (&mut tally.wire.received, &mut tally.wire.last_received)
        } else {
            (&mut tally.wire.transmitted, &mut tally.wire.last_transmitted)
        };
        *last = Some(frame.at);
        add(counters, frame.length, flags);
        if packet.transport == Transport::Tcp
            && let Some(segment) = Segment::of(frame.bytes, &packet, flags, heading)
        {
            let own = at(heading.own_end(path));
            let (_, port) = heading.ports(&packet);
            self.handshakes.follow((flow, own, port), segment, frame.at, tally);
        }
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
