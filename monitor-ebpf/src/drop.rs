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
    DropKey, FlowKey, Loss, Place, Transport,
    attribution::Path,
    packet::{self, End, Link, Packet, SYN, SYN_ACK, Skip},
};

use crate::{
    ends::{Ends, is_own},
    maps::{count_drop, lose},
    memory::{Memory, Namespace, argument, field, namespace, namespace_of_socket, offset, read},
    own::stays_inside,
    ports::{documented, is_documented, is_of_probe},
    socket::LOOPBACK,
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
    let event = Event { skb, receiver, reason, head };
    if !look(&event, start) {
        look_deeper(&event, start);
    }
    0
}

/// Counts a packet, unless its ports lie deeper. Called from where the deeper look is, the two take more of the
/// stack than there is.
#[inline(never)]
fn look(event: &Event, start: u64) -> bool {
    let bytes = Memory(start);
    match packet::locate_plain(&bytes, Link::Ip) {
        Ok(packet) => event.count(bytes, packet),
        Err(Skip::Deeper) => return false,
        Err(_) => {}
    }
    true
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
        if documented(packet).any() {
            Dropped { event: self, bytes, packet }.count();
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
    let is_documented = |port| is_documented(transport, u16::from_be_bytes(port));
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
    fn count(&self) {
        let device: u64 = field(self.event.skb, offset!(skb_device));
        match self.namespace(device) {
            Namespace::Watched => {}
            Namespace::Other => return,
            Namespace::Unknown => return lose(Loss::NoNamespace),
        }
        let mac: u16 = field(self.event.skb, offset!(skb_mac_header));
        let at_device = mac != UNSET;
        // The kernel has noted by which device it came in, unless the packet is this host's own, at the egress
        // hooks and queues of its device. What a driver drops before that note was sent by another namespace's socket.
        let incoming: u32 = field(self.event.skb, offset!(skb_incoming));
        let received =
            at_device && (incoming != 0 || self.namespace_of_sender() == Namespace::Other);
        let flags = self.packet.tcp_flags(&self.bytes).unwrap_or(0);
        let Some(flow) = self.flow(received, incoming, flags) else {
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

    #[inline(always)]
    fn flow(&self, received: bool, incoming: u32, flags: u8) -> Option<FlowKey> {
        let source = self.packet.address(&self.bytes, End::Source)?;
        let destination = self.packet.address(&self.bytes, End::Destination)?;
        let path = match received {
            true if incoming == LOOPBACK => Path::Loopback,
            true => Path::Received,
            false if stays_inside(source, destination) => Path::Loopback,
            false => Path::Transmitted,
        };
        if is_of_probe(&self.packet, received, path == Path::Loopback) {
            return None;
        }
        // What is passed on for others does not belong to the host, except where the wire told of it, before its
        // destination was translated.
        let opens = is_own(path, source, destination);
        Ends { source, destination, path, opens }.flow(&self.packet, flags)
    }

    /// Packets that it is on the wire.
    #[inline(always)]
    fn packets(&self) -> u64 {
        let end: u32 = field(self.event.skb, offset!(skb_end));
        let segments: u16 = field(self.event.head + u64::from(end), offset!(shared_segments));
        u64::from(segments.max(1))
    }
}
