//! The flow of what is told beside the wire: of a dropped packet, of one that an ICMP error is about, of a socket's
//! connection.

use monitor_common::{
    FlowKey,
    attribution::{FlowTable, Heading, Path, attribute},
    packet::{End, Packet},
};

use crate::{handshake, maps::is_known, own::is_own_address, ports::documented};

/// The two ends of a packet.
pub(crate) struct Ends {
    pub(crate) source: [u64; 2],
    pub(crate) destination: [u64; 2],
    pub(crate) path: Path,
    /// Whether its flow may be one that neither the wire nor a socket has told of.
    pub(crate) opens: bool,
}

/// The flow that was last looked up: one place on the stack for all.
struct Lookup<'a> {
    ends: &'a Ends,
    packet: &'a Packet,
    flow: FlowKey,
}

impl Ends {
    /// The flow that a packet with these flags belongs to.
    #[inline(always)]
    pub(crate) fn flow(&self, packet: &Packet, flags: u8) -> Option<FlowKey> {
        let mut lookup = Lookup { ends: self, packet, flow: FlowKey { peer: [0; 2], service: 0 } };
        attribute(packet, flags, documented(*packet), &mut lookup).ok()?;
        Some(lookup.flow)
    }
}

/// Whether the address at this host's end of a packet is one of its own.
#[inline(always)]
pub(crate) fn is_own(path: Path, source: [u64; 2], destination: [u64; 2]) -> bool {
    match path {
        Path::Received => is_own_address(destination),
        Path::Transmitted => is_own_address(source),
        Path::Loopback => true,
    }
}

impl FlowTable for Lookup<'_> {
    type Flow = ();

    #[inline(always)]
    fn known(&mut self, heading: Heading) -> Option<()> {
        let Ends { source, destination, path, .. } = *self.ends;
        let peer = match heading.ends(path).0 {
            End::Source => source,
            End::Destination => destination,
        };
        self.flow = heading.flow_with(peer, self.packet, path);
        is_known(&self.flow).then_some(())
    }

    #[inline(always)]
    fn open(&mut self, heading: Heading) -> Option<()> {
        self.known(heading).or_else(|| self.ends.opens.then_some(()))
    }

    #[inline(always)]
    fn opening(&mut self) -> Option<Heading> {
        let Ends { source, destination, path, .. } = *self.ends;
        let address = |end| match end {
            End::Source => source,
            End::Destination => destination,
        };
        handshake::opening(|end| Some(address(end)), self.packet, path)
    }
}
