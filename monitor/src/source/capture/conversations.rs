//! Who talks with whom in a capture: what follows from all of it before the first packet is counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use monitor_common::packet::{self, SYN, SYN_ACK};

use super::{Frame, ends, is_own};
use crate::{
    config::Peer,
    expect::{Expectation, Match, Matcher, Names},
    observe::{FlowId, PortSet, Side, Tally, Transport},
};

/// Ports from here on are what systems take for the end that asks.
const EPHEMERAL: u16 = 32_768;

/// The conversations of a capture on documented ports, all machines'.
#[derive(Debug)]
pub struct Conversations {
    ports: PortSet,
    seen: BTreeMap<Conversation, Seen>,
    /// Ends that were asked for a connection, or that granted one, on any port.
    services: BTreeSet<(IpAddr, u16)>,
}

/// Packets between a documented port, whose end may be the service, and a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Conversation {
    transport: Transport,
    service: IpAddr,
    port: u16,
    client: IpAddr,
}

#[derive(Debug, Default)]
struct Seen {
    packets: u64,
    /// Packets before the first that says which end is the service.
    before: u64,
    is_opened: bool,
    /// The lowest of the other ports.
    other: u16,
    /// There were several of them.
    has_several: bool,
}

/// What the middle of a session says.
#[derive(Debug, Default)]
pub struct Placed {
    /// Flows with connections whose opening is not in the capture.
    pub open: BTreeSet<FlowId>,
    /// Flows that packets may belong to, and how many: it is not known which end is the service.
    pub unclear: BTreeMap<FlowId, u64>,
}

impl Conversations {
    /// None yet.
    pub const fn new(ports: PortSet) -> Self {
        Self { ports, seen: BTreeMap::new(), services: BTreeSet::new() }
    }

    /// Takes in a frame.
    pub fn note(&mut self, frame: &Frame<'_>) {
        let Ok(packet) = packet::locate(frame.bytes, frame.link) else { return };
        let Some((source, destination)) = ends(frame.bytes, packet) else { return };
        // Where they were cut off, nothing says which end is the service.
        let flags = packet.tcp_flags(frame.bytes);
        let (transport, opening) = (packet.transport, flags.map_or(0, |flags| flags & SYN_ACK));
        let to = Conversation {
            transport,
            service: destination,
            port: packet.destination_port,
            client: source,
        };
        let from =
            Conversation { service: source, port: packet.source_port, client: destination, ..to };
        match opening {
            SYN => _ = self.services.insert((destination, packet.destination_port)),
            SYN_ACK => _ = self.services.insert((source, packet.source_port)),
            _ => {}
        }
        let is_question = transport == Transport::Udp && self.is_documented(to);
        let ways = [
            (to, packet.source_port, opening == SYN || is_question, opening == SYN_ACK),
            (from, packet.destination_port, opening == SYN_ACK, opening == SYN || is_question),
        ];
        let is_opened = |way| self.seen.get(&way).is_some_and(|seen| seen.is_opened);
        let is_known = is_opened(to) || is_opened(from);
        for (conversation, other, opens, is_turned) in ways {
            if !self.is_documented(conversation) || is_turned {
                continue;
            }
            let seen = self.seen.entry(conversation).or_default();
            seen.packets += 1;
            seen.is_opened |= opens;
            if !opens && !is_known && flags.is_some() {
                seen.has_several |= seen.before > 0 && seen.other != other;
                seen.other = if seen.before > 0 { seen.other.min(other) } else { other };
                seen.before += 1;
            }
        }
    }

    fn is_documented(&self, conversation: Conversation) -> bool {
        self.ports.contains(conversation.transport, conversation.port)
    }

    /// What the packets belong to that come before the first that says which end is the service. A port
    /// number alone decides nothing: the peer has to be one that is expected on the port.
    pub fn placed(&self, host: &BTreeSet<IpAddr>, expectations: &[Expectation]) -> Placed {
        let matcher = Matcher::new(expectations, &Names::new());
        let mut placed = Placed::default();
        for (conversation, seen) in self.seen.iter().filter(|(_, seen)| seen.before > 0) {
            let Some(flow) = conversation.flow(host) else { continue };
            if !seen.is_opened && expected(&matcher, &flow).is_empty() {
                continue;
            }
            let other = Conversation {
                service: conversation.client,
                port: seen.other,
                client: conversation.service,
                ..*conversation
            };
            let rival = self.seen.get(&other).filter(|rival| rival.before > 0);
            let rival = rival.and_then(|_| other.flow(host));
            let has_rival = rival.is_some_and(|rival| !expected(&matcher, &rival).is_empty());
            let is_service = |end: Conversation| self.services.contains(&(end.service, end.port));
            if seen.is_opened || is_service(*conversation) || seen.has_several {
                placed.open.insert(flow);
            } else if is_service(other) {
                // The other end is the service, on a port of its own.
            } else if has_rival && conversation.port == other.port {
                placed.unclear.insert(flow, seen.before);
            } else if has_rival {
                // Of two documented ports, the lower one is more likely the service's.
                if conversation.port < other.port {
                    placed.open.insert(flow);
                }
            } else if conversation.port < EPHEMERAL || seen.other >= EPHEMERAL {
                placed.open.insert(flow);
            } else {
                placed.unclear.insert(flow, seen.before);
            }
        }
        placed
    }

    /// Addresses that talk with listed peers as this host would, and are not among its addresses: with the
    /// flows, and how many packets.
    pub fn missing(
        &self,
        host: &BTreeSet<IpAddr>,
        expectations: &[Expectation],
    ) -> BTreeMap<IpAddr, BTreeMap<FlowId, u64>> {
        let matcher = Matcher::new(expectations, &Names::new());
        let mut missing: BTreeMap<IpAddr, BTreeMap<FlowId, u64>> = BTreeMap::new();
        for (conversation, seen) in &self.seen {
            let Conversation { service, client, .. } = *conversation;
            if conversation.flow(host).is_some() || !is_machine(service) || !is_machine(client) {
                continue;
            }
            for own in [service, client] {
                let Some(flow) = conversation.flow(&BTreeSet::from([own])) else { continue };
                let is_listed = |found: &Match| found.peer.is_some();
                if expected(&matcher, &flow).iter().any(is_listed) && !is_peer(own, expectations) {
                    *missing.entry(own).or_default().entry(flow).or_default() += seen.packets;
                }
            }
        }
        missing
    }

    /// Whether one of some addresses has a part in a conversation.
    pub fn has_part(&self, host: &BTreeSet<IpAddr>) -> bool {
        self.seen.keys().any(|conversation| conversation.flow(host).is_some())
    }
}

impl Conversation {
    /// The flow that it is to a host with some addresses, if it is one of its own.
    fn flow(&self, host: &BTreeSet<IpAddr>) -> Option<FlowId> {
        let Self { transport, service, port, client } = *self;
        let (side, peer) = if is_own(host, service) {
            (Side::Server, client)
        } else if is_own(host, client) {
            (Side::Client, service)
        } else {
            return None;
        };
        let loopback = is_own(host, service) && is_own(host, client);
        Some(FlowId { service_port: port, transport, side, loopback, peer })
    }
}

/// The expectations of a flow of this host.
pub fn expected(matcher: &Matcher<'_>, flow: &FlowId) -> Vec<Match> {
    let mut sent = Tally::default();
    // One that sent nothing itself passes on what others send.
    sent.wire.transmitted.packets = 1;
    matcher.matches(flow, &sent)
}

/// Whether an address is one machine's.
fn is_machine(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || is_broadcast)
}

/// Whether an address is listed by itself, not just in a network.
fn is_peer(address: IpAddr, expectations: &[Expectation]) -> bool {
    let listed = expectations.iter().filter_map(|expectation| expectation.peers.listed());
    listed.flatten().any(|peer| match peer {
        Peer::Net(net) => peer.is_machine() && net.addr() == address,
        Peer::Name(_) | Peer::Below(_) => false,
    })
}
