//! TC ingress and egress: `sched_cls` as clsact filter since 4.5, as TCX since 6.6. The newest
//! helper used is `bpf_jiffies64`, since 5.6.
//!
//! Why this hook: it sees what crosses the device, before any firewall on the way in and after it
//! on the way out, and it can be attached to every device without disturbing it.
//! It cannot see: packets that the host's own firewall, routing or neighbour lookup drops on the
//! way out, whether a packet that came in reaches a socket, and anything of another network
//! namespace.

use core::num::NonZeroU64;

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use aya_log_ebpf::{debug, warn};
use monitor_common::{
    FlowCounts, FlowKey, Loss, Side, Transport,
    packet::{self, Bytes, End, FIN, Link, Packet, RST, SYN, SYN_ACK, Skip},
};

use crate::{
    clock, icmp,
    maps::{create_flow, documented, flow, is_of_probe, lose},
    reader::Direct,
    skb::{self, Whole},
};

#[classifier]
fn wire_ingress(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Path::Received)
}

#[classifier]
fn wire_egress(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Path::Transmitted)
}

#[classifier]
fn wire_ingress_l3(context: TcContext) -> i32 {
    watch(&context, Link::Ip, Path::Received)
}

#[classifier]
fn wire_egress_l3(context: TcContext) -> i32 {
    watch(&context, Link::Ip, Path::Transmitted)
}

#[classifier]
fn wire_loopback(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Path::Loopback)
}

/// How a packet passes the device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Received,
    Transmitted,
    /// Both ends are this host: told from the server's end.
    Loopback,
}

/// Which port of a packet is the service port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    ToService,
    FromService,
}

/// Counts a packet and lets it pass to whoever looks next.
#[inline(always)]
fn watch(context: &TcContext, link: Link, path: Path) -> i32 {
    let bytes = Direct::new(context.data(), context.data_end());
    let counted =
        packet::locate_plain(&bytes, link).and_then(|packet| count(context, &bytes, packet, path));
    match counted {
        Ok(()) | Err(Skip::NotIp | Skip::OtherTransport) => {}
        Err(Skip::Icmp) => icmp::watch(context, link, path),
        Err(Skip::Fragment) => lose(Loss::Fragment),
        Err(Skip::Malformed) => unparsable(context),
        Err(Skip::Truncated | Skip::Deeper) => watch_deeper(context, link, path),
    }
    TC_ACT_UNSPEC
}

/// The same for a packet whose headers are many, or lie outside its linear part.
#[inline(never)]
fn watch_deeper(context: &TcContext, link: Link, path: Path) {
    let bytes = Whole(&context.skb);
    let counted =
        packet::locate(&bytes, link).and_then(|packet| count(context, &bytes, packet, path));
    match counted {
        Ok(()) | Err(Skip::NotIp | Skip::OtherTransport) => {}
        Err(Skip::Icmp) => icmp::watch(context, link, path),
        Err(Skip::Fragment) => lose(Loss::Fragment),
        Err(Skip::Malformed | Skip::Truncated | Skip::Deeper) => unparsable(context),
    }
}

#[inline(never)]
fn unparsable(context: &TcContext) {
    lose(Loss::Unparsable);
    debug!(
        context,
        "unparsable packet of {} bytes on interface {}",
        context.len(),
        skb::interface(&context.skb)
    );
}

/// Counts the packet if it is on a documented port.
#[inline(always)]
fn count<B: Bytes>(context: &TcContext, bytes: &B, packet: Packet, path: Path) -> Result<(), Skip> {
    let to_service = documented(packet.transport, packet.destination_port);
    let from_service = documented(packet.transport, packet.source_port);
    let received = path == Path::Received;
    let is_of_probe = || is_of_probe(&packet, received, path == Path::Loopback);
    if (to_service || from_service) && !is_of_probe() {
        let flags = packet.tcp_flags(bytes).ok_or(Skip::Truncated)?;
        let seen = Seen { context, bytes, packet, path, flags };
        seen.count(to_service, from_service);
    }
    Ok(())
}

/// A packet on a documented port.
struct Seen<'a, B> {
    context: &'a TcContext,
    bytes: &'a B,
    packet: Packet,
    path: Path,
    flags: u8,
}

impl<B: Bytes> Seen<'_, B> {
    /// What opens a connection says which port is the service's, and makes the flow. Any other
    /// packet belongs to a flow that is known by then, or it is not placed: a port number alone
    /// decides nothing. UDP opens with its first packet to a documented port.
    #[inline(always)]
    fn count(&self, to_service: bool, from_service: bool) {
        let opening = self.flags & SYN_ACK;
        // Where flows are known for both ports, the lower one is more likely the service's.
        let rather_from = from_service && self.packet.source_port < self.packet.destination_port;
        if to_service && !rather_from && opening != SYN_ACK && self.count_known(Heading::ToService)
        {
            return;
        }
        if from_service && opening != SYN && self.count_known(Heading::FromService) {
            return;
        }
        let (heading, opens) = match opening {
            SYN if to_service => (Heading::ToService, true),
            SYN_ACK if from_service => (Heading::FromService, true),
            SYN | SYN_ACK => return,
            _ => (Heading::ToService, self.packet.transport == Transport::Udp),
        };
        if !to_service && heading == Heading::ToService {
            return lose(Loss::Unplaced);
        }
        if opens && let Some(key) = self.key(heading) {
            create(self.context, &key);
        }
        if !self.count_known(heading) {
            lose(if opens { Loss::FlowMapFull } else { Loss::Unplaced });
        }
    }

    /// Counts the packet in the flow that a heading gives, if that is known.
    #[inline(always)]
    fn count_known(&self, heading: Heading) -> bool {
        let Some(counts) = self.key(heading).and_then(|key| flow(&key)) else {
            return false;
        };
        self.add_to(counts, heading);
        true
    }

    #[inline(always)]
    fn key(&self, heading: Heading) -> Option<FlowKey> {
        let service_port = match heading {
            Heading::ToService => self.packet.destination_port,
            Heading::FromService => self.packet.source_port,
        };
        let (peer, side) = match (self.path, heading) {
            (Path::Received | Path::Loopback, Heading::ToService) => (End::Source, Side::Server),
            (Path::Received, Heading::FromService) => (End::Source, Side::Client),
            (Path::Transmitted, Heading::ToService) => (End::Destination, Side::Client),
            (Path::Transmitted | Path::Loopback, Heading::FromService) => {
                (End::Destination, Side::Server)
            }
        };
        Some(FlowKey::new(
            self.packet.address(self.bytes, peer)?,
            service_port,
            self.packet.transport,
            side,
            self.path == Path::Loopback,
        ))
    }

    #[inline(always)]
    fn add_to(&self, counts: &mut FlowCounts, heading: Heading) {
        let received = match self.path {
            Path::Received => true,
            Path::Transmitted => false,
            Path::Loopback => heading == Heading::ToService,
        };
        let direction = if received {
            counts.last_received = clock::now();
            &mut counts.received
        } else {
            counts.last_transmitted = clock::now();
            &mut counts.transmitted
        };
        let (packets, bytes) = self.on_the_wire();
        direction.packets += packets;
        direction.bytes += bytes;
        if self.flags & (SYN | FIN | RST) != 0 {
            direction.syn += u64::from(self.flags & SYN_ACK == SYN);
            direction.syn_ack += u64::from(self.flags & SYN_ACK == SYN_ACK);
            direction.fin += u64::from(self.flags & FIN != 0);
            direction.rst += u64::from(self.flags & RST != 0);
        }
        if counts.interface == 0 || self.flags & SYN != 0 {
            counts.interface = skb::interface(&self.context.skb);
        }
        if self.path == Path::Transmitted && skb::came_in(&self.context.skb) {
            counts.forwarded += packets;
        }
    }

    /// Packets and bytes that the packet is on the wire: the kernel coalesces segments and keeps
    /// the outer VLAN tag beside the packet.
    #[inline(always)]
    fn on_the_wire(&self) -> (u64, u64) {
        let length = u64::from(self.context.len());
        let tag = if skb::tagged(&self.context.skb) { 4 } else { 0 };
        let Some(segment_size) = NonZeroU64::new(u64::from(skb::segment_size(&self.context.skb)))
        else {
            return (1, length + tag);
        };
        let headers =
            self.packet.headers(self.bytes).unwrap_or(self.packet.transport_header) as u64;
        let packets = match u64::from(skb::segments(&self.context.skb)) {
            // A virtual device may give the size of the segments and not their number.
            0 => (length.saturating_sub(headers) + (segment_size.get() - 1)) / segment_size,
            segments => segments,
        };
        (packets, length + packets.saturating_sub(1) * headers + packets * tag)
    }
}

#[inline(never)]
fn create(context: &TcContext, key: &FlowKey) {
    if !create_flow(key) {
        warn!(
            context,
            "the flow map is full: a flow on port {} is not counted",
            key.service_port()
        );
    }
}
