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
    FlowCounts, FlowKey, Loss, Transport,
    attribution::{Documented, FlowTable, Heading, Path, Unattributed, attribute},
    handshake::Segment,
    packet::{self, Bytes, End, FIN, Link, Packet, RST, SYN, SYN_ACK, Skip},
};

use crate::{
    clock, handshake, icmp,
    maps::{create_flow, flow, lose},
    own::{is_forwarded, is_own_address, note_forwarded, own_token},
    ports::{is_documented, is_of_probe},
    reader::Direct,
    skb::{self, Whole},
};

/// Kinds of packets, as the kernel numbers them.
const PACKET_BROADCAST: u32 = 1;
const PACKET_MULTICAST: u32 = 2;
const PACKET_OTHERHOST: u32 = 3;

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
    let left = watch_plain_loopback(&context);
    finish(&context, left, Link::Ethernet, Path::Loopback)
}

/// What a look at a packet leaves to do.
const NOTHING: u32 = 0;
const IS_ICMP: u32 = 1;
const LIES_DEEPER: u32 = 2;

/// Counts a packet and lets it pass to whoever looks next.
#[inline(always)]
fn watch(context: &TcContext, link: Link, path: Path) -> i32 {
    finish(context, watch_plain(context, link, path), link, path)
}

/// The rest of what is to do, each from here: two in a row need more of the stack than there is.
#[inline(always)]
fn finish(context: &TcContext, left: u32, link: Link, path: Path) -> i32 {
    let left = if left == LIES_DEEPER { watch_deeper(context, link, path) } else { left };
    if left == IS_ICMP {
        icmp::watch(context, link, path);
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn watch_plain(context: &TcContext, link: Link, path: Path) -> u32 {
    let bytes = Direct::new(context.data(), context.data_end());
    let counted =
        packet::locate_plain(&bytes, link).and_then(|packet| count(context, &bytes, packet, path));
    match counted {
        Ok(()) | Err(Skip::NotIp | Skip::OtherTransport) => {}
        Err(Skip::Icmp) => return IS_ICMP,
        Err(Skip::Fragment) => lose(Loss::Fragment),
        Err(Skip::Malformed) => unparsable(context),
        Err(Skip::Truncated | Skip::Deeper) => return LIES_DEEPER,
    }
    NOTHING
}

/// In a function of its own: inside the program, it takes more of the stack than kernels before 6.12 have for
/// it and for the deeper look.
#[inline(never)]
fn watch_plain_loopback(context: &TcContext) -> u32 {
    watch_plain(context, Link::Ethernet, Path::Loopback)
}

/// The same for a packet whose headers are many, or lie outside its linear part.
#[inline(never)]
fn watch_deeper(context: &TcContext, link: Link, path: Path) -> u32 {
    let bytes = Whole(&context.skb);
    let counted =
        packet::locate(&bytes, link).and_then(|packet| count(context, &bytes, packet, path));
    match counted {
        Ok(()) | Err(Skip::NotIp | Skip::OtherTransport) => {}
        Err(Skip::Icmp) => return IS_ICMP,
        Err(Skip::Fragment) => lose(Loss::Fragment),
        Err(Skip::Malformed | Skip::Truncated | Skip::Deeper) => unparsable(context),
    }
    NOTHING
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
    // Written out: a call of `documented` takes more of the stack than kernels before 6.12 have.
    let documented = Documented {
        destination: is_documented(packet.transport, packet.destination_port),
        source: is_documented(packet.transport, packet.source_port),
    };
    let received = path == Path::Received;
    if documented.any() && !is_of_probe(&packet, received, path == Path::Loopback) {
        let flags = packet.tcp_flags(bytes).ok_or(Skip::Truncated)?;
        let seen = Seen { context, bytes, packet, path, flags };
        seen.count(documented);
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

/// Where the flow of a packet is looked up.
///
/// The kernel is given the address of a key that stands by itself: a field would keep all of this, and the packet, on
/// the stack.
struct Lookup<'a, B> {
    seen: &'a Seen<'a, B>,
    /// The flow that was last looked up.
    key: FlowKey,
    /// Why the packet does not belong to this host.
    foreign: Option<Loss>,
}

impl<B: Bytes> FlowTable for Lookup<'_, B> {
    type Flow = &'static mut FlowCounts;

    #[inline(always)]
    fn known(&mut self, heading: Heading) -> Option<Self::Flow> {
        let Seen { bytes, packet, path, .. } = *self.seen;
        let key = heading.flow(bytes, &packet, path)?;
        self.key = key;
        flow(&key)
    }

    #[inline(always)]
    fn open(&mut self, heading: Heading) -> Option<Self::Flow> {
        let Seen { bytes, packet, path, context, .. } = *self.seen;
        let key = heading.flow(bytes, &packet, path)?;
        self.key = key;
        self.foreign = self.seen.whose().or_else(|| self.seen.forwarded(heading, &key));
        if self.foreign.is_some() {
            return None;
        }
        create(context, &key);
        flow(&key)
    }

    #[inline(always)]
    fn opening(&mut self) -> Option<Heading> {
        let Seen { bytes, packet, path, .. } = *self.seen;
        handshake::opening(|end| packet.address(bytes, end), &packet, path)
    }
}

impl<B: Bytes> Seen<'_, B> {
    #[inline(always)]
    fn count(&self, documented: Documented) {
        if self.path == Path::Transmitted
            && skb::came_in(&self.context.skb)
            && skb::is_copy(&self.context.skb)
        {
            return lose(Loss::Copy);
        }
        let mut lookup =
            Lookup { seen: self, key: FlowKey { peer: [0; 2], service: 0 }, foreign: None };
        let loss = match attribute(&self.packet, self.flags, documented, &mut lookup) {
            Ok((heading, counts)) => match self.why_foreign(heading, lookup.key, counts) {
                None => {
                    self.add_to(counts, heading);
                    return self.follow_handshake(&lookup.key, heading);
                }
                Some(foreign) => foreign,
            },
            Err(Unattributed::OtherService) => return,
            Err(Unattributed::UnknownFlow) => self.why_unknown(),
            Err(Unattributed::NoRoom) => lookup.foreign.unwrap_or(Loss::FlowMapFull),
        };
        lose(loss);
    }

    /// Why a packet of a known flow does not belong to this host: an address that the flow had last is not looked up
    /// again.
    #[inline(always)]
    fn why_foreign(&self, heading: Heading, key: FlowKey, counts: &mut FlowCounts) -> Option<Loss> {
        if self.path == Path::Loopback {
            return None;
        }
        let token = own_token(self.own()?);
        if counts.own != token {
            let foreign = self.whose();
            if foreign.is_some() {
                return foreign;
            }
            counts.own = token;
        }
        self.forwarded(heading, &key)
    }

    /// The address of this host.
    #[inline(always)]
    fn own(&self) -> Option<[u64; 2]> {
        let end = if self.path == Path::Transmitted { End::Source } else { End::Destination };
        self.packet.address(self.bytes, end)
    }

    /// Why a packet does not belong to this host, by its address: what a bridge or a switch brings for others, and
    /// what is passed on. Broadcasts and multicasts are for everybody.
    #[inline(always)]
    fn whose(&self) -> Option<Loss> {
        if self.path == Path::Loopback {
            return None;
        }
        let own = self.own()?;
        let kind = skb::kind(&self.context.skb);
        whose(&own, kind, self.path == Path::Received)
    }

    #[inline(always)]
    fn why_unknown(&self) -> Loss {
        if self.path == Path::Transmitted && skb::came_in(&self.context.skb) {
            return Loss::Forwarded;
        }
        let answers = || {
            let key = Heading::FromService.flow(self.bytes, &self.packet, self.path)?;
            is_forwarded(&key).then_some(Loss::Forwarded)
        };
        self.whose().or_else(answers).unwrap_or(Loss::Unplaced)
    }

    /// Of what leaves by an address of this host, whether somebody behind it opened it.
    #[inline(always)]
    fn forwarded(&self, heading: Heading, key: &FlowKey) -> Option<Loss> {
        let opening = self.flags & SYN_ACK;
        match (self.path, heading) {
            (Path::Transmitted, Heading::ToService) if skb::came_in(&self.context.skb) => {
                note_forwarded(key);
                Some(Loss::Forwarded)
            }
            (Path::Received, Heading::FromService)
                if opening == SYN_ACK
                    && is_forwarded(key)
                    && !handshake::may_be_open(key, self.packet.destination_port) =>
            {
                Some(Loss::Forwarded)
            }
            _ => None,
        }
    }

    /// Hands a segment on that an open handshake may be waiting for.
    #[inline(always)]
    fn follow_handshake(&self, key: &FlowKey, heading: Heading) {
        let (_, port) = heading.ports(&self.packet);
        if self.packet.transport == Transport::Tcp
            && (self.flags & SYN_ACK == SYN || handshake::may_be_open(key, port))
        {
            self.follow(*key, port, heading);
        }
    }

    #[inline(always)]
    fn follow(&self, flow: FlowKey, port: u16, heading: Heading) {
        let (Some(own), Some(segment)) = (
            self.packet.address(self.bytes, heading.own_end(self.path)),
            Segment::of(self.bytes, &self.packet, self.flags, heading),
        ) else {
            return;
        };
        let interface = skb::interface(&self.context.skb);
        if handshake::scratch(flow, own, port, segment, interface) {
            handshake::follow_handshake();
        }
    }

    #[inline(always)]
    fn add_to(&self, counts: &mut FlowCounts, heading: Heading) {
        let direction = if heading.is_received(self.path) {
            counts.last_received = clock::now();
            &mut counts.received
        } else {
            counts.last_transmitted = clock::now();
            &mut counts.transmitted
        };
        let (packets, bytes) = self.on_the_wire();
        direction.packets += packets;
        direction.bytes += bytes;
        let opening = self.flags & SYN_ACK;
        if self.flags & (SYN | FIN | RST) != 0 {
            direction.syn += u64::from(opening == SYN);
            direction.syn_ack += u64::from(opening == SYN_ACK);
            direction.fin += u64::from(self.flags & FIN != 0);
            direction.rst += u64::from(self.flags & RST != 0);
        }
        // Of an answer that leaves by another device, the way of the attempt.
        if counts.interface == 0 || opening == SYN {
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
fn whose(own: &[u64; 2], kind: u32, received: bool) -> Option<Loss> {
    if is_own_address(*own) {
        return None;
    }
    match kind {
        PACKET_BROADCAST | PACKET_MULTICAST if received => None,
        PACKET_OTHERHOST if received => Some(Loss::OtherMachine),
        _ => Some(Loss::Forwarded),
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
