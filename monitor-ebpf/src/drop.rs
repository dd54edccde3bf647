//! Raw tracepoint `kfree_skb`: dropped packets since 2.6.30, with the reason since 5.17 and with the
//! receiving socket since 6.12.
//!
//! Why this hook: it is the one place where the kernel says that a packet ends here, and why.
//! It cannot see: drops in the hardware and in the driver, what a queue loses beyond the host, and a SYN
//! that a full accept queue has no room for (no packet is freed with a reason). Many of its events are no
//! lost packets: the daemon tells them apart.
//!
//! It fires for every namespace of the machine, and for every unrelated packet: the ports are looked
//! at before anything else.

use aya_ebpf::{EbpfContext as _, macros::raw_tracepoint, programs::RawTracePointContext};
use monitor_common::{
    DropKey, FlowKey, Loss, Place, Side, Transport,
    packet::{self, End, Link, Packet, SYN, SYN_ACK, Skip},
};

use crate::{
    maps::{count_drop, documented, is_known, is_of_probe, lose},
    memory::{Memory, Namespace, argument, field, namespace, namespace_of_socket, offset, read},
};

/// No header of that kind.
const UNSET: u16 = u16::MAX;

#[raw_tracepoint(tracepoint = "kfree_skb")]
fn drop(context: RawTracePointContext) -> i32 {
    let arguments = context.as_ptr().cast();
    let skb = argument(arguments, 0);
    // The verifier knows the number, and does not look at a branch that is never taken.
    #[expect(clippy::cast_possible_truncation, reason = "the reason is an enum")]
    let reason = if offset!(drop_arguments) >= 3 { argument(arguments, 2) as u32 } else { 0 };
    let receiver = if offset!(drop_arguments) >= 4 { argument(arguments, 3) } else { 0 };
    let head: u64 = field(skb, offset!(skb_head));
    let network: u16 = field(skb, offset!(skb_network_header));
    let start = head + u64::from(network);
    if is_unrelated(start) {
        return 0;
    }
    let bytes = Memory(start);
    let event = Event { skb, receiver, reason, head };
    match packet::locate_plain(&bytes, Link::Ip) {
        Ok(packet) => event.count(bytes, packet),
        Err(Skip::Deeper) => look_deeper(&event, start),
        Err(_) => {}
    }
    0
}

/// The same for a packet with IPv6 extension headers.
#[inline(never)]
fn look_deeper(event: &Event, start: u64) {
    let bytes = Memory(start);
    if let Ok(packet) = packet::locate(&bytes, Link::Ip) {
        event.count(bytes, packet);
    }
}

/// What the tracepoint says.
#[derive(Clone, Copy)]
struct Event {
    skb: u64,
    receiver: u64,
    reason: u32,
    head: u64,
}

impl Event {
    /// Counts the packet if it is on a documented port.
    #[inline(always)]
    fn count(self, bytes: Memory, packet: Packet) {
        let to_service = documented(packet.transport, packet.destination_port);
        let from_service = documented(packet.transport, packet.source_port);
        if to_service || from_service {
            Dropped { event: self, bytes, packet }.count(to_service, from_service);
        }
    }
}

/// Whether no port of the packet is documented, as far as one read of the usual headers tells: most
/// packets of a machine are looked at no further.
#[expect(clippy::host_endian_bytes, reason = "words are bytes in memory, not numbers")]
#[inline(always)]
fn is_unrelated(start: u64) -> bool {
    let words: [u32; 11] = read(start);
    let [version, ..] = words[0].to_ne_bytes();
    let (protocol, ports) = match version {
        0x45 => (words[2].to_ne_bytes()[1], words[5]),
        0x60..=0x6f => (words[1].to_ne_bytes()[2], words[10]),
        _ => return false,
    };
    let Some(transport) = Transport::from_protocol(protocol) else {
        return false;
    };
    let [a, b, c, d] = ports.to_ne_bytes();
    let is_documented = |port| documented(transport, u16::from_be_bytes(port));
    !is_documented([a, b]) && !is_documented([c, d])
}

/// A dropped packet on a documented port.
struct Dropped {
    event: Event,
    bytes: Memory,
    packet: Packet,
}

impl Dropped {
    #[inline(always)]
    fn count(&self, to_service: bool, from_service: bool) {
        let device: u64 = field(self.event.skb, offset!(skb_device));
        match self.namespace(device) {
            Namespace::Watched => {}
            Namespace::Other => return,
            Namespace::Unknown => return lose(Loss::NoNamespace),
        }
        let mac: u16 = field(self.event.skb, offset!(skb_mac_header));
        let at_device = mac != UNSET;
        let received = at_device && self.came_in();
        let flags = self.packet.tcp_flags(&self.bytes).unwrap_or(0);
        let Some(flow) = self.flow(to_service, from_service, received, flags & SYN_ACK) else {
            // The wire has told of it, if it was there, or it is a probe.
            return;
        };
        let opening = flags & SYN_ACK == SYN;
        let route: u64 = field(self.event.skb, offset!(skb_route));
        let place = Place { at_device, routed: route != 0 };
        let key = DropKey::new(flow, self.event.reason, received, opening, place);
        let interface: u32 = if device == 0 { 0 } else { field(device, offset!(device_index)) };
        let (source, destination) = (self.packet.source_port, self.packet.destination_port);
        let port = if destination == flow.service_port() { source } else { destination };
        let end = if received { End::Destination } else { End::Source };
        let own = self.packet.address(&self.bytes, end).unwrap_or_default();
        count_drop(&key, self.packets(), interface, port, own);
    }

    /// The device's namespace, else the socket's, else the receiving socket's.
    #[inline(always)]
    fn namespace(&self, device: u64) -> Namespace {
        if device != 0 {
            let found = namespace(field(device, offset!(device_namespace)));
            if found != Namespace::Unknown {
                return found;
            }
        }
        match self.namespace_of_sender() {
            Namespace::Unknown => namespace_of_socket(self.event.receiver),
            found @ (Namespace::Watched | Namespace::Other) => found,
        }
    }

    #[inline(always)]
    fn namespace_of_sender(&self) -> Namespace {
        namespace_of_socket(field(self.event.skb, offset!(skb_socket)))
    }

    /// Whether a packet with a link header came in by a device. The kernel has noted by which one, unless
    /// the packet is this host's own, at the egress hooks and queues of its device. What a driver drops
    /// before that note was sent by another namespace's socket.
    #[inline(always)]
    fn came_in(&self) -> bool {
        let incoming: u32 = field(self.event.skb, offset!(skb_incoming));
        incoming != 0 || self.namespace_of_sender() == Namespace::Other
    }

    /// What opens a connection says by itself which port is the service's; what belongs to one is
    /// placed with it.
    #[inline(always)]
    fn flow(
        &self,
        to_service: bool,
        from_service: bool,
        received: bool,
        opening: u8,
    ) -> Option<FlowKey> {
        let source = self.packet.address(&self.bytes, End::Source)?;
        let destination = self.packet.address(&self.bytes, End::Destination)?;
        // Told from the server's end, as on the wire.
        let loopback = source == destination;
        if is_of_probe(&self.packet, received, loopback) {
            return None;
        }
        let peer = if received { source } else { destination };
        let key = |service_port, side| {
            let side = if loopback { Side::Server } else { side };
            FlowKey::new(peer, service_port, self.packet.transport, side, loopback)
        };
        let to =
            key(self.packet.destination_port, if received { Side::Server } else { Side::Client });
        let from = key(self.packet.source_port, if received { Side::Client } else { Side::Server });
        match opening {
            SYN => to_service.then_some(to),
            SYN_ACK => from_service.then_some(from),
            _ if to_service && is_known(&to) => Some(to),
            _ if from_service && is_known(&from) => Some(from),
            _ => (to_service && self.packet.transport == Transport::Udp).then_some(to),
        }
    }

    /// Packets that it is on the wire.
    #[inline(always)]
    fn packets(&self) -> u64 {
        let end: u32 = field(self.event.skb, offset!(skb_end));
        let segments: u16 = field(self.event.head + u64::from(end), offset!(shared_segments));
        u64::from(segments.max(1))
    }
}
