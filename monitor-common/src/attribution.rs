//! Which flow a packet belongs to: the one answer that every hook and the replay of captures share.
//!
//! 50051 and 59999 lie in the range of ephemeral ports, so a port number alone says nothing. What opens a
//! connection does: a SYN goes to the service, a SYN-ACK comes from there. Any other packet belongs to a
//! flow that is known by then; where flows are known for both of its ports, to the connection that is being opened
//! between them, else the lower port is more likely the service's. A UDP datagram to a documented port opens its flow.

use crate::{
    FlowKey, Side, Transport,
    packet::{Bytes, End, Packet, SYN, SYN_ACK},
};

/// How a packet passes the place where it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// To this host.
    Received,
    /// From this host.
    Transmitted,
    /// Both ends are this host: seen from the server's end.
    Loopback,
}

/// Which port of a packet is the service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// The destination's.
    ToService,
    /// The source's.
    FromService,
}

/// Which ports of a packet are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The destination port.
    pub destination: bool,
    /// The source port.
    pub source: bool,
}

/// Why a packet with a documented port belongs to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unattributed {
    /// It opens a connection to, or from, a port that is not documented: an ephemeral port that happens
    /// to be one.
    OtherService,
    /// Its flow is not known, and nothing in it says which side is the service.
    UnknownFlow,
    /// It opens a flow for which there was no room.
    NoRoom,
}

impl Documented {
    /// Whether the packet is of interest.
    #[inline(always)]
    pub const fn any(self) -> bool {
        self.destination || self.source
    }
}

impl Heading {
    /// The end of a packet that is the peer, and the side that this host is.
    #[inline(always)]
    pub const fn ends(self, path: Path) -> (End, Side) {
        match (path, self) {
            (Path::Received | Path::Loopback, Self::ToService) => (End::Source, Side::Server),
            (Path::Received, Self::FromService) => (End::Source, Side::Client),
            (Path::Transmitted, Self::ToService) => (End::Destination, Side::Client),
            (Path::Transmitted | Path::Loopback, Self::FromService) => {
                (End::Destination, Side::Server)
            }
        }
    }

    /// The end of a packet that is this host: of what it sends itself, that which is not the peer.
    #[inline(always)]
    pub const fn own_end(self, path: Path) -> End {
        self.ends(path).0.other()
    }

    /// Whether the packet counts as received. Of what the host sends itself, that is what goes to the
    /// service.
    #[inline(always)]
    pub const fn is_received(self, path: Path) -> bool {
        match path {
            Path::Received => true,
            Path::Transmitted => false,
            Path::Loopback => matches!(self, Self::ToService),
        }
    }

    /// The service's port and the other one.
    #[inline(always)]
    pub const fn ports(self, packet: &Packet) -> (u16, u16) {
        match self {
            Self::ToService => (packet.destination_port, packet.source_port),
            Self::FromService => (packet.source_port, packet.destination_port),
        }
    }

    /// The flow that a packet belongs to if this is its heading. `None` where the address is cut short.
    #[inline(always)]
    pub fn flow<B: Bytes + ?Sized>(
        self,
        bytes: &B,
        packet: &Packet,
        path: Path,
    ) -> Option<FlowKey> {
        let (peer, _) = self.ends(path);
        Some(self.flow_with(packet.address(bytes, peer)?, packet, path))
    }

    /// The same where the address of the peer is known.
    #[inline(always)]
    pub const fn flow_with(self, peer: [u64; 2], packet: &Packet, path: Path) -> FlowKey {
        let (_, side) = self.ends(path);
        let (service_port, _) = self.ports(packet);
        FlowKey::new(peer, service_port, packet.transport, side, matches!(path, Path::Loopback))
    }
}

/// The flows that are known where a packet is seen.
pub trait FlowTable {
    /// What is kept for a flow.
    type Flow;

    /// The flow of the packet if this is its heading and the flow is known.
    fn known(&mut self, heading: Heading) -> Option<Self::Flow>;

    /// The same for a packet that opens its flow, which is made if it is not known. `None` where it cannot be.
    fn open(&mut self, heading: Heading) -> Option<Self::Flow>;

    /// The packet's heading in the connection between its ports that is being opened, where it is known. It is asked
    /// where both ports are documented.
    fn opening(&mut self) -> Option<Heading>;
}

/// The heading of a packet, with what is kept for its flow.
#[inline(always)]
pub fn attribute<T: FlowTable>(
    packet: &Packet,
    flags: u8,
    documented: Documented,
    flows: &mut T,
) -> Result<(Heading, T::Flow), Unattributed> {
    let opening = flags & SYN_ACK;
    let Documented { destination, source } = documented;
    let is_either = destination && source && matches!(packet.transport, Transport::Tcp);
    let source_is_lower = match if is_either && opening & SYN == 0 { flows.opening() } else { None }
    {
        Some(heading) => matches!(heading, Heading::FromService),
        None => source && packet.source_port < packet.destination_port,
    };
    if destination
        && !source_is_lower
        && opening != SYN_ACK
        && let Some(flow) = flows.known(Heading::ToService)
    {
        return Ok((Heading::ToService, flow));
    }
    if source
        && opening != SYN
        && let Some(flow) = flows.known(Heading::FromService)
    {
        return Ok((Heading::FromService, flow));
    }
    let heading = match opening {
        SYN if destination => Heading::ToService,
        SYN_ACK if source => Heading::FromService,
        SYN | SYN_ACK => return Err(Unattributed::OtherService),
        _ if destination && matches!(packet.transport, Transport::Udp) => Heading::ToService,
        _ if destination && source_is_lower => {
            let flow = flows.known(Heading::ToService).ok_or(Unattributed::UnknownFlow)?;
            return Ok((Heading::ToService, flow));
        }
        _ => return Err(Unattributed::UnknownFlow),
    };
    flows.open(heading).map(|flow| (heading, flow)).ok_or(Unattributed::NoRoom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ACK, RST, Version};

    const BOTH: Documented = Documented { destination: true, source: true };
    const DESTINATION: Documented = Documented { destination: true, source: false };
    const SOURCE: Documented = Documented { destination: false, source: true };

    /// Headings with which the flow of the packet is known, whether there is room for others, and what is being opened.
    struct Known<'a>(&'a [Heading], bool, Option<Heading>);

    impl FlowTable for Known<'_> {
        type Flow = ();

        fn known(&mut self, heading: Heading) -> Option<()> {
            self.0.contains(&heading).then_some(())
        }

        fn open(&mut self, _: Heading) -> Option<()> {
            self.1.then_some(())
        }

        fn opening(&mut self) -> Option<Heading> {
            self.2
        }
    }

    const fn packet(transport: Transport, source_port: u16, destination_port: u16) -> Packet {
        Packet {
            network: 0,
            transport_header: 20,
            version: Version::V4,
            transport,
            source_port,
            destination_port,
        }
    }

    fn tcp(
        ports: (u16, u16),
        flags: u8,
        documented: Documented,
        known: &[Heading],
    ) -> Result<Heading, Unattributed> {
        let packet = packet(Transport::Tcp, ports.0, ports.1);
        attribute(&packet, flags, documented, &mut Known(known, true, None))
            .map(|(heading, ())| heading)
    }

    #[test]
    fn what_opens_a_connection_says_it_by_itself() {
        let ports = (49200, 50051);
        assert_eq!(tcp(ports, SYN, BOTH, &[]), Ok(Heading::ToService));
        assert_eq!(tcp(ports, SYN_ACK, BOTH, &[]), Ok(Heading::FromService));
        assert_eq!(tcp(ports, SYN, BOTH, &[Heading::FromService]), Ok(Heading::ToService));
        assert_eq!(tcp(ports, SYN, SOURCE, &[]), Err(Unattributed::OtherService));
        assert_eq!(tcp(ports, SYN_ACK, DESTINATION, &[]), Err(Unattributed::OtherService));
    }

    #[test]
    fn any_other_segment_needs_a_known_flow() {
        for flags in [ACK, RST] {
            assert_eq!(
                tcp((40000, 50051), flags, DESTINATION, &[]),
                Err(Unattributed::UnknownFlow)
            );
            let known = [Heading::ToService];
            assert_eq!(tcp((40000, 50051), flags, DESTINATION, &known), Ok(Heading::ToService));
            // The only flow that is known, whichever port is lower.
            assert_eq!(tcp((49200, 50051), flags, BOTH, &known), Ok(Heading::ToService));
            assert_eq!(tcp((50051, 49200), flags, BOTH, &known), Ok(Heading::ToService));
        }
    }

    #[test]
    fn of_two_known_flows_the_lower_port_is_the_services() {
        let known = [Heading::ToService, Heading::FromService];
        assert_eq!(tcp((49200, 50051), ACK, BOTH, &known), Ok(Heading::FromService));
        assert_eq!(tcp((50051, 49200), ACK, BOTH, &known), Ok(Heading::ToService));
    }

    #[test]
    fn of_two_known_flows_it_is_that_of_the_connection_that_is_being_opened() {
        let known = [Heading::ToService, Heading::FromService];
        for ports in [(49200, 50051), (50051, 49200)] {
            for heading in known {
                let packet = packet(Transport::Tcp, ports.0, ports.1);
                let mut flows = Known(&known, true, Some(heading));
                let found = attribute(&packet, ACK, BOTH, &mut flows);
                assert_eq!(found.map(|(heading, ())| heading), Ok(heading));
            }
        }
    }

    #[test]
    fn a_datagram_to_a_documented_port_opens_its_flow() {
        let packet = packet(Transport::Udp, 40000, 53);
        let udp = |documented, has_room| {
            let flow = attribute(&packet, 0, documented, &mut Known(&[], has_room, None));
            flow.map(|(heading, ())| heading)
        };
        assert_eq!(udp(DESTINATION, true), Ok(Heading::ToService));
        assert_eq!(udp(DESTINATION, false), Err(Unattributed::NoRoom));
        assert_eq!(udp(SOURCE, true), Err(Unattributed::UnknownFlow));
    }
}
