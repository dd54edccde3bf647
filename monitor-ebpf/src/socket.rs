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
    FlowKey, Side, Transport,
    packet::{self, Bytes, End, Link, Packet, SYN, SYN_ACK, Skip},
};

use crate::{
    maps::{AtSocket, create_at_socket, documented, is_of_probe, socket_flow},
    memory::is_own_socket_watched,
    reader::Direct,
    skb,
};

/// Let the packet pass.
const PASS: i32 = 1;
/// Index of the loopback device, in every namespace.
const LOOPBACK: u32 = 1;

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
        Ok(packet) => is_documented(packet),
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
        && is_documented(&packet)
    {
        count(context, &bytes, packet, received);
    }
}

#[inline(always)]
fn is_documented(packet: &Packet) -> bool {
    documented(packet.transport, packet.destination_port)
        || documented(packet.transport, packet.source_port)
}

#[inline(always)]
fn count<B: Bytes>(context: &SkBuffContext, bytes: &B, packet: Packet, received: bool) {
    let loopback = skb::interface(&context.skb) == LOOPBACK;
    if loopback && !received || is_of_probe(&packet, received, loopback) {
        return;
    }
    let opening = packet.tcp_flags(bytes).unwrap_or(0) & SYN_ACK;
    let Some((counts, service_port)) = place(bytes, packet, received, loopback, opening) else {
        return;
    };
    let is_received = if loopback { packet.destination_port == service_port } else { received };
    let segments = u64::from(skb::segments(&context.skb).max(1));
    counts.add(is_received, segments, u64::from(context.len()), opening);
}

/// Counts of the flow of a packet, which what opens a connection makes, and the port of its service.
#[inline(always)]
fn place<B: Bytes>(
    bytes: &B,
    packet: Packet,
    received: bool,
    loopback: bool,
    opening: u8,
) -> Option<(AtSocket, u16)> {
    let peer = packet.address(bytes, if received { End::Source } else { End::Destination })?;
    // What the host sends itself is told from the server's end.
    let client = if loopback { packet.address(bytes, End::Destination)? } else { peer };
    let from_side = if received && !loopback { Side::Client } else { Side::Server };
    let to_side = if received { Side::Server } else { Side::Client };
    let to = FlowKey::new(peer, packet.destination_port, packet.transport, to_side, loopback);
    let from = FlowKey::new(client, packet.source_port, packet.transport, from_side, loopback);
    let to_service = documented(packet.transport, packet.destination_port);
    let from_service = documented(packet.transport, packet.source_port);
    let rather_from = from_service && packet.source_port < packet.destination_port;
    if to_service
        && !rather_from
        && opening != SYN_ACK
        && let Some(counts) = socket_flow(&to)
    {
        return Some((counts, packet.destination_port));
    }
    if from_service
        && opening != SYN
        && let Some(counts) = socket_flow(&from)
    {
        return Some((counts, packet.source_port));
    }
    let key = match opening {
        SYN if to_service => to,
        SYN_ACK if from_service => from,
        SYN | SYN_ACK => return None,
        _ if to_service && packet.transport == Transport::Udp => to,
        _ => return None,
    };
    Some((create_at_socket(&key)?, key.service_port()))
}
