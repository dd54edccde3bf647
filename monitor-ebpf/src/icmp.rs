//! ICMP errors at the wire: what others say of packets of this host, and this host of theirs.
//!
//! Reached from `wire` for ICMP alone, so that no other packet pays for it. An error that the host only
//! passes on, for its containers for instance, is not its own. One that it sends to itself (its firewall
//! rejects what its own programs send, a neighbour does not answer) crosses `lo` and counts as sent.

use aya_ebpf::programs::TcContext;
use monitor_common::{
    Event, FlowKey, Side,
    attribution::Path,
    icmp::{self, IcmpError},
    packet::{End, Link, Packet},
};

use crate::{
    maps::{count_event, documented, is_known, is_of_probe},
    skb::{self, Whole},
};

/// Counts an error about a packet of a flow that is known.
#[inline(never)]
pub(crate) fn watch(context: &TcContext, link: Link, path: Path) {
    let bytes = Whole(&context.skb);
    let Ok(IcmpError { kind, about }) = icmp::locate(&bytes, link) else {
        return;
    };
    let to_service = documented(about.transport, about.destination_port);
    let from_service = documented(about.transport, about.source_port);
    // An error that comes in is about what went out.
    let went_in = path == Path::Transmitted;
    if !(to_service || from_service) || is_of_probe(&about, went_in, path == Path::Loopback) {
        return;
    }
    let (Some(source), Some(destination)) =
        (about.address(&bytes, End::Source), about.address(&bytes, End::Destination))
    else {
        return;
    };
    let is_own = match path {
        Path::Received => skb::is_local(&context.skb, about.version, source),
        Path::Transmitted => !skb::came_in(&context.skb),
        Path::Loopback => true,
    };
    let ends = Ends { about, source, destination, to_service, from_service };
    if is_own && let Some(flow) = ends.flow(path) {
        count_event(flow, Event::Icmp { kind, received: path == Path::Received });
    }
}

/// The two ends of the packet that an error is about.
struct Ends {
    about: Packet,
    source: [u64; 2],
    destination: [u64; 2],
    to_service: bool,
    from_service: bool,
}

impl Ends {
    /// The flow that the packet belongs to.
    #[inline(always)]
    fn flow(&self, path: Path) -> Option<FlowKey> {
        match path {
            Path::Received => self.known(self.destination, Side::Client, Side::Server),
            Path::Transmitted => self.known(self.source, Side::Server, Side::Client),
            // What this host stops before the wire may be known to nobody else.
            Path::Loopback if self.source == self.destination => self.inside(),
            // The host may talk to itself by this address too: the flow with the peer is looked for first.
            Path::Loopback => self
                .known(self.destination, Side::Client, Side::Server)
                .or_else(|| self.inside())
                .or_else(|| self.to_service.then_some(self.to(self.destination, Side::Client))),
        }
    }

    /// The known flow with a peer, by what this host is to it when the packet goes to the service, and
    /// when it comes from there.
    #[inline(always)]
    fn known(&self, peer: [u64; 2], to: Side, from: Side) -> Option<FlowKey> {
        let to = self.to(peer, to);
        if self.to_service && is_known(&to) {
            return Some(to);
        }
        let Packet { source_port, transport, .. } = self.about;
        let from = FlowKey::new(peer, source_port, transport, from, false);
        (self.from_service && is_known(&from)).then_some(from)
    }

    #[inline(always)]
    fn to(&self, peer: [u64; 2], side: Side) -> FlowKey {
        FlowKey::new(peer, self.about.destination_port, self.about.transport, side, false)
    }

    /// The flow of a packet that the host sent to itself, told from the server's end.
    #[inline(always)]
    fn inside(&self) -> Option<FlowKey> {
        let Packet { source_port, destination_port, transport, .. } = self.about;
        let key = |peer, port| FlowKey::new(peer, port, transport, Side::Server, true);
        let to = key(self.source, destination_port);
        if self.to_service && (self.source == self.destination || is_known(&to)) {
            return Some(to);
        }
        let from = key(self.destination, source_port);
        (self.from_service && is_known(&from)).then_some(from)
    }
}
