//! What the programs of TC have to count, told by the shared parser on the host.
//!
//! Rules of `BPF_PROG_TEST_RUN`: the packet is at `lo`, whose index is 1, no VLAN tag is kept beside it,
//! and no address is another machine's, since the namespace forwards nothing.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv6Addr,
};

use monitor::observe::PortSet;
use monitor_common::{
    AttemptCounts, AttemptEnd, ConnectionKey, Counters, Event, EventKey, FlowCounts, FlowKey,
    Handshake, IcmpKind, Loss, Side, Transport,
    handshake::{Segment, Step},
    icmp::{self, IcmpError},
    names,
    packet::{self, End, FIN, Link, Packet, RST, SYN, SYN_ACK, Skip},
    slots::connection_slot,
};

mod place;

use crate::frames::Sent;
use place::Place;

/// A program of TC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name.
    pub name: &'static str,
    link: Link,
    path: Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Received,
    Transmitted,
    Loopback,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    ToService,
    FromService,
}

const fn hook(name: &'static str, link: Link, path: Path) -> Hook {
    Hook { name, link, path }
}

const ETHERNET: [Hook; 3] = [
    hook(names::WIRE_INGRESS, Link::Ethernet, Path::Received),
    hook(names::WIRE_EGRESS, Link::Ethernet, Path::Transmitted),
    hook(names::WIRE_LOOPBACK, Link::Ethernet, Path::Loopback),
];
const BARE: [Hook; 2] = [
    hook(names::WIRE_INGRESS_L3, Link::Ip, Path::Received),
    hook(names::WIRE_EGRESS_L3, Link::Ip, Path::Transmitted),
];

impl Hook {
    /// The program that takes a frame.
    pub fn of(sent: &Sent) -> Self {
        let hooks = if sent.is_bare { BARE.as_slice() } else { ETHERNET.as_slice() };
        hooks[usize::from(sent.choice) % hooks.len()]
    }
}

/// Whether a frame came in by another device before.
pub fn came_in(sent: &Sent) -> bool {
    sent.choice >= 224
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Model {
    /// Without times.
    pub flows: HashMap<FlowKey, FlowCounts>,
    /// How often.
    pub events: HashMap<EventKey, u64>,
    /// Without times.
    pub attempts: HashMap<FlowKey, AttemptCounts>,
    /// Without times.
    pub handshakes: HashMap<ConnectionKey, Handshake>,
    forwarded: HashSet<FlowKey>,
    /// By [`Loss`].
    pub lost: [u64; Loss::ALL.len()],
    capacity: usize,
    ports: PortSet,
}

impl Model {
    /// Nothing counted yet, with room for so many flows.
    pub fn new(capacity: usize, ports: PortSet) -> Self {
        Self {
            flows: HashMap::new(),
            events: HashMap::new(),
            attempts: HashMap::new(),
            handshakes: HashMap::new(),
            forwarded: HashSet::new(),
            lost: [0; Loss::ALL.len()],
            capacity,
            ports,
        }
    }

    /// Counts a frame.
    pub fn count(&mut self, sent: &Sent) {
        let Hook { link, path, .. } = Hook::of(sent);
        match packet::locate(sent.bytes.as_slice(), link) {
            Ok(packet) => self.count_packet(sent, packet, path),
            Err(Skip::Icmp) => self.count_error(sent, link, path),
            Err(Skip::Fragment) => self.lose(Loss::Fragment),
            Err(Skip::NotIp | Skip::OtherTransport) => {}
            Err(Skip::Truncated | Skip::Malformed | Skip::Deeper) => self.lose(Loss::Unparsable),
        }
    }

    fn lose(&mut self, loss: Loss) {
        self.lost[loss as usize] += 1;
    }

    fn count_packet(&mut self, sent: &Sent, packet: Packet, path: Path) {
        let to_service = self.ports.contains(packet.transport, packet.destination_port);
        let from_service = self.ports.contains(packet.transport, packet.source_port);
        if !to_service && !from_service {
            return;
        }
        let Some(flags) = packet.tcp_flags(sent.bytes.as_slice()) else {
            return self.lose(Loss::Unparsable);
        };
        let key = |heading| key(&sent.bytes, packet, path, heading);
        let (heading, opens) = match self.place(packet, flags, key) {
            Place::Service(heading, opens) => (heading, opens),
            Place::Elsewhere => return,
            Place::Unknown => return self.lose_unknown(sent, packet, path),
        };
        let flow = key(heading);
        if (opens || self.flows.contains_key(&flow))
            && self.is_forwarded(sent, packet, path, heading, flags & SYN_ACK)
        {
            return self.lose(Loss::Forwarded);
        }
        if opens && self.flows.len() < self.capacity {
            self.flows.entry(flow).or_insert(FlowCounts::ZERO);
        }
        match self.flows.get_mut(&flow) {
            Some(counts) => {
                add(counts, sent, packet, flags, path, heading);
                self.follow(sent, packet, flags, path, heading);
            }
            None if opens => self.lose(Loss::FlowMapFull),
            None => self.lose_unknown(sent, packet, path),
        }
    }

    /// Why a packet whose flow is not known is not counted.
    fn lose_unknown(&mut self, sent: &Sent, packet: Packet, path: Path) {
        if path == Path::Transmitted && came_in(sent) {
            return self.lose(Loss::Forwarded);
        }
        let answers =
            self.forwarded.contains(&key(&sent.bytes, packet, path, Heading::FromService));
        self.lose(if answers { Loss::Forwarded } else { Loss::Unplaced });
    }

    /// What comes from another device and asks a service is forwarded, and so is the answer that opens it,
    /// unless this host asked too.
    fn is_forwarded(
        &mut self,
        sent: &Sent,
        packet: Packet,
        path: Path,
        heading: Heading,
        opening: u8,
    ) -> bool {
        let flow = key(&sent.bytes, packet, path, heading);
        match (path, heading) {
            (Path::Transmitted, Heading::ToService) if came_in(sent) => {
                self.forwarded.insert(flow);
                true
            }
            (Path::Received, Heading::FromService) => {
                opening == SYN_ACK
                    && self.forwarded.contains(&flow)
                    && !self.may_be_open(&flow, packet.destination_port)
            }
            _ => false,
        }
    }

    /// Whether a handshake is open in the slot of a connection.
    fn may_be_open(&self, flow: &FlowKey, port: u16) -> bool {
        let slot = connection_slot(flow, port);
        self.handshakes.keys().any(|key| connection_slot(&key.flow, key.asker_port()) == slot)
    }

    fn follow(&mut self, sent: &Sent, packet: Packet, flags: u8, path: Path, heading: Heading) {
        let bytes = sent.bytes.as_slice();
        let to_service = heading == Heading::ToService;
        let flow = key(bytes, packet, path, heading);
        let port = if to_service { packet.source_port } else { packet.destination_port };
        let is_opening = flags & SYN_ACK == SYN;
        if packet.transport != Transport::Tcp || !(is_opening || self.may_be_open(&flow, port)) {
            return;
        }
        let own = match (path, to_service) {
            (Path::Transmitted, _) | (Path::Loopback, false) => End::Source,
            (Path::Received | Path::Loopback, _) => End::Destination,
        };
        let (Some(own), Some(sequence), Some(has_data)) =
            (packet.address(bytes, own), packet.tcp_sequence(bytes), packet.has_data(bytes))
        else {
            return;
        };
        let segment = Segment { to_service, flags, sequence, has_data };
        let key = ConnectionKey { flow, own, port: port.into() };
        let Some(handshake) = self.handshakes.get_mut(&key) else {
            if is_opening {
                self.open(key, segment);
            } else if flags & SYN_ACK == SYN_ACK
                && !to_service
                && let Some(counts) = self.attempts(flow)
            {
                (counts.stray_address, counts.stray_port) = (own, port.into());
            }
            return;
        };
        match handshake.follow(segment, 1) {
            Step::Open => {}
            Step::Ended(end) => self.close(key, end),
            Step::Replaced(end) => {
                self.close(key, end);
                self.open(key, segment);
            }
        }
    }

    fn open(&mut self, key: ConnectionKey, segment: Segment) {
        const LOOPBACK_DEVICE: u32 = 1;

        if self.handshakes.len() < 2 * self.capacity {
            self.handshakes.insert(key, Handshake::begin(segment, LOOPBACK_DEVICE, 1));
            return;
        }
        self.lose(Loss::NotFollowed);
        if let Some(counts) = self.attempts(key.flow) {
            counts.not_followed += 1;
        }
    }

    fn close(&mut self, key: ConnectionKey, end: AttemptEnd) {
        let Some(handshake) = self.handshakes.remove(&key) else { return };
        if let Some(counts) = self.attempts(key.flow) {
            counts.ended[end as usize] += 1;
            counts.segments[end as usize] += u64::from(handshake.segments);
        }
    }

    fn attempts(&mut self, flow: FlowKey) -> Option<&mut AttemptCounts> {
        if self.attempts.len() >= self.capacity && !self.attempts.contains_key(&flow) {
            self.lose(Loss::MapFull);
            return None;
        }
        Some(self.attempts.entry(flow).or_insert(AttemptCounts::ZERO))
    }

    fn count_error(&mut self, sent: &Sent, link: Link, path: Path) {
        let bytes = sent.bytes.as_slice();
        let Ok(IcmpError { kind, about }) = icmp::locate(bytes, link) else { return };
        if path == Path::Transmitted && came_in(sent) {
            return;
        }
        if let Some(flow) = self.flow_of_error(bytes, about, path) {
            self.note(flow, kind, path == Path::Received);
        }
    }

    fn flow_of_error(&self, bytes: &[u8], about: Packet, path: Path) -> Option<FlowKey> {
        let Packet { source_port, destination_port, transport, .. } = about;
        let ports = [source_port, destination_port];
        if !ports.iter().any(|port| self.ports.contains(transport, *port)) {
            return None;
        }
        let source = about.address(bytes, End::Source)?;
        let destination = about.address(bytes, End::Destination)?;
        let octets = FlowKey::new(destination, 0, transport, Side::Client, false).peer_octets();
        let is_loopback =
            Ipv6Addr::from(octets).to_ipv4_mapped().is_some_and(|it| it.is_loopback());
        let stays_inside = source == destination || is_loopback;
        let went = match path {
            Path::Transmitted => Path::Received,
            Path::Loopback if stays_inside => Path::Loopback,
            Path::Received | Path::Loopback => Path::Transmitted,
        };
        let flags = about.tcp_flags(bytes).unwrap_or(0);
        let key = |heading| key(bytes, about, went, heading);
        let Place::Service(heading, opens) = self.place(about, flags, key) else { return None };
        let flow = key(heading);
        // What this host stops before the wire is known to nobody else.
        (self.flows.contains_key(&flow) || opens && path == Path::Loopback).then_some(flow)
    }

    fn note(&mut self, flow: FlowKey, kind: IcmpKind, received: bool) {
        let key = EventKey::new(flow, Event::Icmp { kind, received });
        if self.events.len() < self.capacity || self.events.contains_key(&key) {
            *self.events.entry(key).or_default() += 1;
        } else {
            self.lose(Loss::MapFull);
        }
    }
}

fn key(bytes: &[u8], packet: Packet, path: Path, heading: Heading) -> FlowKey {
    let to_service = heading == Heading::ToService;
    let port = if to_service { packet.destination_port } else { packet.source_port };
    let (peer, side) = match (path, to_service) {
        (Path::Received | Path::Loopback, true) => (End::Source, Side::Server),
        (Path::Received, false) => (End::Source, Side::Client),
        (Path::Transmitted, true) => (End::Destination, Side::Client),
        (Path::Transmitted | Path::Loopback, false) => (End::Destination, Side::Server),
    };
    let peer = packet.address(bytes, peer).unwrap();
    FlowKey::new(peer, port, packet.transport, side, path == Path::Loopback)
}

fn add(
    counts: &mut FlowCounts,
    sent: &Sent,
    packet: Packet,
    flags: u8,
    path: Path,
    heading: Heading,
) {
    const LOOPBACK_DEVICE: u32 = 1;

    let received = match path {
        Path::Received => true,
        Path::Transmitted => false,
        Path::Loopback => heading == Heading::ToService,
    };
    let direction = if received { &mut counts.received } else { &mut counts.transmitted };
    let (packets, bytes) = on_the_wire(sent, packet);
    let Counters { packets: all, bytes: all_bytes, syn, syn_ack, fin, rst } = direction;
    *all += packets;
    *all_bytes += bytes;
    *syn += u64::from(flags & SYN_ACK == SYN);
    *syn_ack += u64::from(flags & SYN_ACK == SYN_ACK);
    *fin += u64::from(flags & FIN > 0);
    *rst += u64::from(flags & RST > 0);
    counts.interface = LOOPBACK_DEVICE;
    if path == Path::Transmitted && came_in(sent) {
        counts.forwarded += packets;
    }
}

/// Every segment carries the headers.
fn on_the_wire(sent: &Sent, packet: Packet) -> (u64, u64) {
    let length = sent.bytes.len() as u64;
    if sent.segment_size == 0 {
        return (1, length);
    }
    let headers = packet.headers(sent.bytes.as_slice()).unwrap_or(packet.transport_header) as u64;
    let packets = match u64::from(sent.segments) {
        0 => length.saturating_sub(headers).div_ceil(u64::from(sent.segment_size)),
        segments => segments,
    };
    (packets, length + packets.saturating_sub(1) * headers)
}
