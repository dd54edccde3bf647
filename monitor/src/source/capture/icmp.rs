//! ICMP errors of a capture: what others say of this host's packets, and this host of theirs.

use std::net::IpAddr;

use monitor_common::{
    Side, Transport,
    icmp::{self, IcmpError, IcmpKind},
    packet::{Link, Packet, RST, SYN, SYN_ACK},
};

use super::{Capture, Frame, ends, is_own};
use crate::observe::{Drop, FlowId, IcmpErrors};

/// The kernel's reason for what its firewall turns down.
const FIREWALL: &str = "NETFILTER_DROP";

impl Capture {
    /// Counts an error about a packet of this host, or about one that was sent to it. One about what it
    /// only passes on is not its own.
    pub(super) fn count_icmp(&mut self, frame: &Frame<'_>) {
        let Ok(IcmpError { kind, about }) = icmp::locate(frame.bytes, frame.link) else { return };
        let Some((source, destination)) = ends(frame.bytes, about) else { return };
        let Some((from, to)) = outer_ends(frame, about) else { return };
        let own = |address| is_own(&self.host, address);
        let is_sent = own(from);
        // It is about what came from the machine that it goes to.
        let went_in = !own(source);
        if !(if went_in { is_sent && own(destination) } else { own(to) }) {
            return;
        }
        let loopback = own(source) && own(destination);
        let peer = if went_in { source } else { destination };
        let (to_side, from_side) =
            if went_in { (Side::Server, Side::Client) } else { (Side::Client, Side::Server) };
        let to_service = FlowId {
            service_port: about.destination_port,
            transport: about.transport,
            side: if loopback { Side::Server } else { to_side },
            loopback,
            peer: if loopback { source } else { peer },
        };
        let from_service = FlowId {
            service_port: about.source_port,
            side: if loopback { Side::Server } else { from_side },
            ..to_service
        };
        let flags = about.tcp_flags(frame.bytes);
        let is_request = match about.transport {
            Transport::Tcp => flags.is_some_and(|flags| flags & SYN_ACK == SYN),
            Transport::Udp => true,
        };
        let is_documented = self.ports.contains(about.transport, about.destination_port);
        let is_to_service = is_documented
            // What this host stops before the wire may be seen nowhere else.
            && (self.is_known(&to_service) || is_sent && !went_in && is_request);
        let flow = if is_to_service {
            to_service
        } else if self.is_known(&from_service) {
            from_service
        } else {
            return;
        };
        let received = !is_sent;
        let errors = &mut self.flows.entry(flow).or_default().icmp;
        let is_same = |errors: &&mut IcmpErrors| (errors.kind, errors.received) == (kind, received);
        if let Some(errors) = errors.iter_mut().find(is_same) {
            errors.packets += 1;
            errors.last = Some(frame.at);
        } else {
            let at = Some(frame.at);
            errors.push(IcmpErrors { kind, received, packets: 1, first: at, last: at });
        }
        if is_sent && is_to_service && is_request && is_by_firewall(kind, about.transport, went_in)
        {
            self.count_turned_down(frame, flow, about.source_port, went_in);
        }
    }

    /// Counts an answer that this host's firewall gives its own program in the name of a peer.
    pub(super) fn count_forged(&mut self, frame: &Frame<'_>, packet: Packet, flags: u8) {
        let Some((peer, _)) = ends(frame.bytes, packet) else { return };
        let flow = FlowId {
            service_port: packet.source_port,
            transport: packet.transport,
            side: Side::Client,
            loopback: false,
            peer,
        };
        // An RST that answers a SYN acknowledges it, and has no place of its own in the stream.
        let is_unsent =
            frame.bytes.get(packet.transport_header + 4..).and_then(<[u8]>::first_chunk)
                == Some(&[0; 4]);
        if flags & RST != 0 && is_unsent && self.ports.contains(flow.transport, flow.service_port) {
            self.count_turned_down(frame, flow, packet.destination_port, false);
        }
    }

    /// Counts an attempt that this host's firewall is proven to have turned down.
    fn count_turned_down(&mut self, frame: &Frame<'_>, flow: FlowId, port: u16, received: bool) {
        let dropped = &mut self.flows.entry(flow).or_default().dropped;
        let last = Some(frame.at);
        if let Some(before) = dropped.iter_mut().find(|drop| drop.received == received) {
            (before.packets, before.last, before.port) = (before.packets + 1, last, port);
        } else {
            dropped.push(Drop {
                at_device: false,
                netfilter: None,
                own: None,
                reason: FIREWALL.into(),
                received,
                opening: flow.transport == Transport::Tcp,
                datagram: flow.transport == Transport::Udp,
                packets: 1,
                first: last,
                last,
                interface: None,
                port,
            });
        }
    }
}

/// Whether only a firewall says this of a packet at the host that sends it: the kernel itself says of a
/// datagram that nothing takes it at the port, and of a segment nothing of the kind.
const fn is_by_firewall(kind: IcmpKind, transport: Transport, went_in: bool) -> bool {
    match kind {
        IcmpKind::Prohibited => true,
        IcmpKind::PortUnreachable => matches!(transport, Transport::Tcp) || !went_in,
        IcmpKind::Unreachable | IcmpKind::TooBig => false,
    }
}

/// Source and destination of the error itself, whose header is of the same version as that inside.
fn outer_ends(frame: &Frame<'_>, about: Packet) -> Option<(IpAddr, IpAddr)> {
    let network = match frame.link {
        Link::Ip => 0,
        Link::Ethernet => super::interface::ethernet(frame.bytes)?,
    };
    // Only the place of the addresses is asked for.
    let outer = Packet { network, ..about };
    ends(frame.bytes, outer)
}
