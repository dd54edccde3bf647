//! ICMP errors at the wire: what others say of packets of this host, and this host of theirs.
//!
//! Reached from `wire` for ICMP alone, so that no other packet pays for it. An error that the host only
//! passes on, for its containers for instance, is not its own. One that it sends to itself (its firewall
//! rejects what its own programs send, a neighbour does not answer) crosses `lo` and counts as sent.

use aya_ebpf::programs::TcContext;
use monitor_common::{
    Event,
    attribution::Path,
    icmp::{self, IcmpError},
    packet::{End, Link},
};

use crate::{
    ends::{Ends, is_own},
    maps::count_event,
    own::stays_inside,
    ports::{documented, is_of_probe},
    skb::{self, Whole},
};

/// Counts an error about a packet of a flow that is known, or that this host stops before the wire.
#[inline(never)]
pub(crate) fn watch(context: &TcContext, link: Link, path: Path) {
    let bytes = Whole(&context.skb);
    let Ok(IcmpError { kind, about }) = icmp::locate(&bytes, link) else {
        return;
    };
    if !documented(about).any() {
        return;
    }
    let (Some(source), Some(destination)) =
        (about.address(&bytes, End::Source), about.address(&bytes, End::Destination))
    else {
        return;
    };
    // An error that comes in is about what went out. What this host says to itself may be about what it would
    // have sent to a peer.
    let went = match path {
        Path::Transmitted => Path::Received,
        Path::Loopback if stays_inside(source, destination) => Path::Loopback,
        Path::Received | Path::Loopback => Path::Transmitted,
    };
    let opens = path == Path::Loopback;
    let is_passed_on = path == Path::Transmitted && skb::came_in(&context.skb)
        || !opens && !is_own(went, source, destination);
    if is_passed_on || is_of_probe(&about, went == Path::Received, went == Path::Loopback) {
        return;
    }
    // Not every error has them.
    let flags = about.tcp_flags(&bytes).unwrap_or(0);
    if let Some(flow) = (Ends { source, destination, path: went, opens }).flow(&about, flags) {
        count_event(flow, Event::Icmp { kind, received: path == Path::Received });
    }
}
