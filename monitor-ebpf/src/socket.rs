//! `cgroup_skb` at the root of cgroup v2, since 4.10: packets between sockets and the IP layer.
//!
//! Why this hook: what crosses the device (`wire`) and does not come by here was stopped by this host
//! on the way in; what comes by here and does not cross the device was stopped on the way out.
//! It cannot see: what the firewall drops before (in either direction), segments that no socket of the
//! host sends (RST of a closed port, SYN-ACK of a syncookie), and forwarded packets.
//!
//! The root sees every namespace of the machine: others are left out. It can be interrupted by
//! itself, so it counts atomically.

use aya_ebpf::{macros::cgroup_skb, programs::SkBuffContext};
use monitor_common::{
    attribution::{FlowTable, Heading, Path, attribute},
    packet::{self, Bytes, Link, Packet, SYN_ACK, Skip},
};

use crate::{
    handshake,
    maps::{AtSocket, create_at_socket, socket_flow},
    memory::is_own_socket_watched,
    ports::{documented, is_of_probe},
    reader::Direct,
    skb,
};

/// Let the packet pass.
const PASS: i32 = 1;
/// Index of the loopback device, in every namespace.
pub(crate) const LOOPBACK: u32 = 1;

#[cgroup_skb]
fn socket_ingress(context: SkBuffContext) -> i32 {
    watch(&context, true)
}

#[cgroup_skb]
fn socket_egress(context: SkBuffContext) -> i32 {
    watch(&context, false)
}

#[inline(always)]
fn watch(context: &SkBuffContext, received: bool) -> i32 {
    let bytes = Direct::new(skb::data(&context.skb), skb::data_end(&context.skb));
    let plain = packet::locate_plain(&bytes, Link::Ip);
    let may_count = match &plain {
        Ok(packet) => documented(*packet).any(),
        Err(skip) => matches!(skip, Skip::Truncated | Skip::Deeper),
    };
    if may_count && is_own_socket_watched(&context.skb) {
        match plain {
            Ok(packet) => count(context, &bytes, packet, received),
            Err(_) => watch_deeper(context, received),
        }
    }
    PASS
}

/// The same for a packet whose headers are many, or lie outside its linear part.
#[inline(never)]
fn watch_deeper(context: &SkBuffContext, received: bool) {
    let bytes = skb::Whole(&context.skb);
    if let Ok(packet) = packet::locate(&bytes, Link::Ip)
        && documented(packet).any()
    {
        count(context, &bytes, packet, received);
    }
}

/// The flows at sockets.
struct AtSockets<'a, B> {
    bytes: &'a B,
    packet: &'a Packet,
    path: Path,
}

impl<B: Bytes> FlowTable for AtSockets<'_, B> {
    type Flow = AtSocket;

    #[inline(always)]
    fn known(&mut self, heading: Heading) -> Option<AtSocket> {
        socket_flow(&heading.flow(self.bytes, self.packet, self.path)?)
    }

    #[inline(always)]
    fn open(&mut self, heading: Heading) -> Option<AtSocket> {
        create_at_socket(&heading.flow(self.bytes, self.packet, self.path)?)
    }

    #[inline(always)]
    fn opening(&mut self) -> Option<Heading> {
        handshake::opening(|end| self.packet.address(self.bytes, end), self.packet, self.path)
    }
}

#[inline(always)]
fn count<B: Bytes>(context: &SkBuffContext, bytes: &B, packet: Packet, received: bool) {
    let loopback = skb::interface(&context.skb) == LOOPBACK;
    if loopback && !received || is_of_probe(&packet, received, loopback) {
        return;
    }
    let path = match (loopback, received) {
        (true, _) => Path::Loopback,
        (false, true) => Path::Received,
        (false, false) => Path::Transmitted,
    };
    let flags = packet.tcp_flags(bytes).unwrap_or(0);
    let mut flows = AtSockets { bytes, packet: &packet, path };
    let found = attribute(&packet, flags, documented(packet), &mut flows);
    // The wire says what is not attributed.
    if let Ok((heading, counts)) = found {
        let segments = u64::from(skb::segments(&context.skb).max(1));
        let bytes = u64::from(context.len());
        counts.add(heading.is_received(path), segments, bytes, flags & SYN_ACK);
    }
}
