//! ICMP errors: what a router, a firewall or a peer says of a packet that it did not take.
//!
//! Each carries the start of that packet, which tells the flow.

use crate::packet::{self, Bytes, Link, Packet, Skip, Version};

/// What an ICMP error says.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum IcmpKind {
    /// The network, the machine or the protocol cannot be reached.
    Unreachable = 0,
    /// Nothing takes the packet at the port.
    PortUnreachable = 1,
    /// A firewall forbids it.
    Prohibited = 2,
    /// The packet is larger than the next link takes.
    TooBig = 3,
}

impl IcmpKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 4] =
        [Self::Unreachable, Self::PortUnreachable, Self::Prohibited, Self::TooBig];

    /// Decodes a byte from a map, `None` for any other value.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Unreachable),
            1 => Some(Self::PortUnreachable),
            2 => Some(Self::Prohibited),
            3 => Some(Self::TooBig),
            _ => None,
        }
    }

    /// The name in reports and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::PortUnreachable => "port-unreachable",
            Self::Prohibited => "prohibited",
            Self::TooBig => "too-big",
        }
    }

    /// What a type and a code mean; `None` for a message that is no such error.
    #[inline(always)]
    pub const fn of(version: Version, kind: u8, code: u8) -> Option<Self> {
        match (version, kind, code) {
            (Version::V4, 3, 3) | (Version::V6, 1, 4) => Some(Self::PortUnreachable),
            (Version::V4, 3, 4) | (Version::V6, 2, _) => Some(Self::TooBig),
            (Version::V4, 3, 9 | 10 | 13) | (Version::V6, 1, 1 | 5 | 6) => Some(Self::Prohibited),
            (Version::V4, 3, 0..=15) | (Version::V6, 1, 0..=7) => Some(Self::Unreachable),
            _ => None,
        }
    }
}

/// An ICMP error about a packet with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpKind,
    /// The packet that it is about, as far as the error carries it.
    pub about: Packet,
}

/// Finds the packet that an ICMP error is about. Any other message is [`Skip::OtherTransport`].
#[inline(always)]
pub fn locate<B: Bytes + ?Sized>(bytes: &B, link: Link) -> Result<IcmpError, Skip> {
    /// Length of the ICMP header.
    const HEADER: usize = 8;

    let (network, version) = packet::after_link(bytes, link)?;
    let (protocol, at) = packet::after_ip(bytes, network, version)?;
    if packet::ports(bytes, network, version, protocol, at) != Err(Skip::Icmp) {
        return Err(Skip::OtherTransport);
    }
    let kind = bytes.byte(at).ok_or(Skip::Truncated)?;
    let code = bytes.byte(at + 1).ok_or(Skip::Truncated)?;
    let kind = IcmpKind::of(version, kind, code).ok_or(Skip::OtherTransport)?;
    let inner = at + HEADER;
    let (protocol, transport_header) = packet::after_ip(bytes, inner, version)?;
    let about = packet::ports(bytes, inner, version, protocol, transport_header)?;
    Ok(IcmpError { kind, about })
}

#[cfg(test)]
mod tests {
    use super::IcmpKind;

    #[test]
    fn number_and_order_agree() {
        for (number, kind) in (0..).zip(IcmpKind::ALL) {
            assert_eq!((kind as u8, IcmpKind::from_byte(number)), (number, Some(kind)));
        }
        assert_eq!(IcmpKind::from_byte(4), None);
    }
}
