//! Which port of a packet is the service's.

use monitor_common::{
    FlowKey, Transport,
    packet::{Packet, SYN, SYN_ACK},
};

use super::{Heading, Model};

/// Where the service of a packet is.
pub(super) enum Place {
    /// There, and whether the packet makes a flow.
    Service(Heading, bool),
    /// At a port that only happens to be documented.
    Elsewhere,
    Unknown,
}

impl Model {
    /// Where the service of a packet is, one of whose ports is documented.
    pub(super) fn place(
        &self,
        packet: Packet,
        flags: u8,
        key: impl Fn(Heading) -> FlowKey,
    ) -> Place {
        let Packet { source_port, destination_port, transport, .. } = packet;
        let to_service = self.ports.contains(transport, destination_port);
        let from_service = self.ports.contains(transport, source_port);
        let knows = |heading| self.flows.contains_key(&key(heading));
        let opening = flags & SYN_ACK;
        let is_open = |heading: Heading| {
            let port = if heading == Heading::ToService { source_port } else { destination_port };
            self.may_be_open(&key(heading), port)
        };
        let is_either = to_service && from_service && transport == Transport::Tcp;
        let lower_is_source = match (is_open(Heading::ToService), is_open(Heading::FromService)) {
            (true, false) if is_either && opening & SYN == 0 => false,
            (false, true) if is_either && opening & SYN == 0 => true,
            _ => from_service && source_port < destination_port,
        };
        if to_service && !lower_is_source && opening != SYN_ACK && knows(Heading::ToService) {
            return Place::Service(Heading::ToService, false);
        }
        if from_service && opening != SYN && knows(Heading::FromService) {
            return Place::Service(Heading::FromService, false);
        }
        match opening {
            SYN if to_service => Place::Service(Heading::ToService, true),
            SYN_ACK if from_service => Place::Service(Heading::FromService, true),
            SYN | SYN_ACK => Place::Elsewhere,
            _ if to_service => Place::Service(Heading::ToService, transport == Transport::Udp),
            _ => Place::Unknown,
        }
    }
}
