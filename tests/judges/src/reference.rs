//! The reference: what etherparse says of a frame.
//!
//! It reads headers and knows their lengths. Where the definitions of the shared parser differ on purpose,
//! the difference is a rule here:
//!
//! 1. No more of a header has to be there than the fields that are needed. The reference reads a copy with
//!    zeros behind it, and [`Frame::need`] says which byte has to be in the frame itself.
//! 2. Lengths that the headers state of the packet (IPv4, IPv6, UDP) are not looked at: what the
//!    kernel hands over is the packet.
//! 3. At most [`MAX_TAGS`] tags and [`MAX_EXTENSIONS`] extension headers are looked through.
//! 4. An extension header is one wherever it stands: hop-by-hop options need not be the first.
//! 5. An authentication header is looked through behind IPv6 alone, and may be shorter than its fields.
//! 6. The first fragment has ports, a later one has none.
//! 7. A TCP header that states too short a length has ports and flags all the same.
//! 8. `ICMPv6` errors are told by codes that are newer than the reference, and too big by its type alone.

#![expect(
    clippy::unwrap_in_result,
    reason = "what is behind the frame is long enough for any header"
)]

use etherparse::{
    EtherType, Ethernet2HeaderSlice, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type,
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, SingleVlanHeaderSlice, TcpHeader, TcpHeaderSlice, UdpHeader,
    UdpHeaderSlice,
    icmpv4::DestUnreachableHeader as Unreachable4,
    icmpv6::{DestUnreachableCode as Unreachable6, TYPE_DST_UNREACH, TYPE_PACKET_TOO_BIG},
};
use monitor_common::{
    IcmpKind, Transport,
    packet::{Link, MAX_EXTENSIONS, MAX_TAGS, Packet, Skip, Version},
};

/// More than any header is long.
const BEHIND: usize = 256 * 8 + 64;

/// What the reference says of a packet with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where its headers are.
    pub packet: Packet,
    /// Where it comes from, as an IPv6 address.
    pub source: [u8; 16],
    /// Where it goes.
    pub destination: [u8; 16],
    /// The TCP flags, 0 for UDP; `None` where the header ends before them.
    pub flags: Option<u8>,
    /// Bytes of all headers; `None` where the header ends before its length.
    pub headers: Option<usize>,
}

/// A frame with zeros behind it.
#[derive(Debug)]
pub struct Frame {
    length: usize,
    padded: Vec<u8>,
}

/// An IP header, its addresses, and the number of what is behind all of its headers and where that is.
struct Ip {
    at: usize,
    version: Version,
    ends: [[u8; 16]; 2],
    number: IpNumber,
    behind: usize,
}

impl Frame {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let mut padded = Vec::with_capacity(bytes.len() + BEHIND);
        padded.extend_from_slice(bytes);
        padded.resize(bytes.len() + BEHIND, 0);
        Self { length: bytes.len(), padded }
    }

    /// The packet, as [`locate`](monitor_common::packet::locate) has to find it.
    pub fn packet(&self, link: Link) -> Result<Seen, Skip> {
        let (at, version) = self.link(link)?;
        self.ports(&self.ip(at, version)?)
    }

    /// The packet that an ICMP error is about, as [`locate`](monitor_common::icmp::locate) has to find it.
    pub fn error(&self, link: Link) -> Result<(IcmpKind, Seen), Skip> {
        let (at, version) = self.link(link)?;
        let ip = self.ip(at, version)?;
        if !is_icmp(version, ip.number) {
            return Err(Skip::OtherTransport);
        }
        self.need(ip.behind + 2)?;
        let header: [u8; 8] = *self.from(ip.behind).first_chunk().unwrap();
        let kind = match version {
            Version::V4 => kind4(header),
            Version::V6 => kind6(header),
        };
        let kind = kind.ok_or(Skip::OtherTransport)?;
        Ok((kind, self.ports(&self.ip(ip.behind + header.len(), version)?)?))
    }

    /// Rule 1: the frame itself has to have this many bytes.
    fn need(&self, bytes: usize) -> Result<(), Skip> {
        if self.length < bytes { Err(Skip::Truncated) } else { Ok(()) }
    }

    fn from(&self, at: usize) -> &[u8] {
        self.padded.get(at..).unwrap_or_default()
    }

    fn link(&self, link: Link) -> Result<(usize, Version), Skip> {
        if link == Link::Ip {
            self.need(1)?;
            return match self.padded.first().map(|first| first / 16) {
                Some(4) => Ok((0, Version::V4)),
                Some(6) => Ok((0, Version::V6)),
                _ => Err(Skip::NotIp),
            };
        }
        self.need(Ethernet2HeaderSlice::from_slice(&self.padded).unwrap().slice().len())?;
        let mut kind = Ethernet2HeaderSlice::from_slice(&self.padded).unwrap().ether_type();
        let mut at = 14;
        for tags in 0..=MAX_TAGS {
            match kind {
                EtherType::IPV4 => return Ok((at, Version::V4)),
                EtherType::IPV6 => return Ok((at, Version::V6)),
                EtherType::VLAN_TAGGED_FRAME
                | EtherType::PROVIDER_BRIDGING
                | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {}
                _ => return Err(Skip::NotIp),
            }
            if tags < MAX_TAGS {
                self.need(at + 4)?;
                kind = SingleVlanHeaderSlice::from_slice(self.from(at)).unwrap().ether_type();
                at += 4;
            }
        }
        Err(Skip::Malformed)
    }

    fn ip(&self, at: usize, version: Version) -> Result<Ip, Skip> {
        self.need(at + 1)?;
        match version {
            Version::V4 => self.ipv4(at),
            Version::V6 => self.ipv6(at),
        }
    }

    fn ipv4(&self, at: usize) -> Result<Ip, Skip> {
        let malformed = |_| Skip::Malformed;
        let header = Ipv4HeaderSlice::from_slice(self.from(at)).map_err(malformed)?;
        self.need(at + 10)?;
        if header.fragments_offset().value() > 0 {
            return Err(Skip::Fragment);
        }
        let ends = [header.source_addr(), header.destination_addr()]
            .map(|address| address.to_ipv6_mapped().octets());
        let (number, behind) = (header.protocol(), at + header.slice().len());
        Ok(Ip { at, version: Version::V4, ends, number, behind })
    }

    fn ipv6(&self, at: usize) -> Result<Ip, Skip> {
        let malformed = |_| Skip::Malformed;
        let header = Ipv6HeaderSlice::from_slice(self.from(at)).map_err(malformed)?;
        self.need(at + 7)?;
        let ends = [header.source(), header.destination()];
        let mut ip = Ip {
            at,
            version: Version::V6,
            ends,
            number: header.next_header(),
            behind: at + header.slice().len(),
        };
        for _ in 0..MAX_EXTENSIONS {
            if !self.pass_extension(&mut ip)? {
                return Ok(ip);
            }
        }
        // Rule 3.
        if is_extension(ip.number) { Err(Skip::Malformed) } else { Ok(ip) }
    }

    /// Goes on behind an extension header; `false` where there is none.
    fn pass_extension(&self, ip: &mut Ip) -> Result<bool, Skip> {
        if !is_extension(ip.number) {
            return Ok(false);
        }
        let bytes = self.from(ip.behind);
        let (number, length) = if ip.number == IpNumber::IPV6_FRAGMENTATION_HEADER {
            self.need(ip.behind + 4)?;
            let header = Ipv6FragmentHeaderSlice::from_slice(bytes).unwrap();
            // Rule 6.
            if header.fragment_offset().value() > 0 {
                return Err(Skip::Fragment);
            }
            (header.next_header(), header.slice().len())
        } else if ip.number == IpNumber::AUTHENTICATION_HEADER {
            self.need(ip.behind + 2)?;
            match IpAuthHeaderSlice::from_slice(bytes) {
                Ok(header) => (header.next_header(), header.slice().len()),
                // Rule 5: only one without its fields is an error here.
                Err(_) => (IpNumber(bytes.first().copied().unwrap_or(0)), 8),
            }
        } else {
            self.need(ip.behind + 2)?;
            let header = Ipv6RawExtHeaderSlice::from_slice(bytes).unwrap();
            (header.next_header(), header.slice().len())
        };
        (ip.number, ip.behind) = (number, ip.behind + length);
        Ok(true)
    }

    fn ports(&self, ip: &Ip) -> Result<Seen, Skip> {
        let at = ip.behind;
        let (transport, ports, flags, length) = match ip.number {
            IpNumber::TCP => {
                self.need(at + 4)?;
                let mut bytes = *self.from(at).first_chunk::<{ TcpHeader::MIN_LEN }>().unwrap();
                let words = usize::from(bytes[12] / 16);
                // Rule 7.
                bytes[12] = 0x50 | (bytes[12] % 16);
                let header = TcpHeaderSlice::from_slice(&bytes).unwrap();
                let flags = self.need(at + 14).ok().map(|()| flags(&header));
                let length = self.need(at + 13).ok().map(|()| words * 4);
                let ports = (header.source_port(), header.destination_port());
                (Transport::Tcp, ports, flags, length)
            }
            IpNumber::UDP => {
                self.need(at + 4)?;
                let header = UdpHeaderSlice::from_slice(self.from(at)).unwrap();
                let ports = (header.source_port(), header.destination_port());
                (Transport::Udp, ports, Some(0), Some(UdpHeader::LEN))
            }
            number if is_icmp(ip.version, number) => return Err(Skip::Icmp),
            _ => return Err(Skip::OtherTransport),
        };
        Ok(Seen {
            packet: Packet {
                network: ip.at,
                transport_header: at,
                version: ip.version,
                transport,
                source_port: ports.0,
                destination_port: ports.1,
            },
            source: ip.ends[0],
            destination: ip.ends[1],
            flags,
            headers: length.map(|length| at + length),
        })
    }
}

fn is_icmp(version: Version, number: IpNumber) -> bool {
    number == if version == Version::V4 { IpNumber::ICMP } else { IpNumber::IPV6_ICMP }
}

fn is_extension(number: IpNumber) -> bool {
    number == IpNumber::AUTHENTICATION_HEADER
        || number == IpNumber::IPV6_FRAGMENTATION_HEADER
        || Ipv6RawExtHeaderSlice::header_type_supported(number)
}

fn flags(header: &TcpHeaderSlice<'_>) -> u8 {
    let flags = [
        header.fin(),
        header.syn(),
        header.rst(),
        header.psh(),
        header.ack(),
        header.urg(),
        header.ece(),
        header.cwr(),
    ];
    flags.into_iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(flag))
}

fn kind4(header: [u8; 8]) -> Option<IcmpKind> {
    let Icmpv4Type::DestinationUnreachable(unreachable) =
        Icmpv4Slice::from_slice(&header).ok()?.icmp_type()
    else {
        return None;
    };
    Some(match unreachable {
        Unreachable4::Port => IcmpKind::PortUnreachable,
        Unreachable4::FragmentationNeeded { .. } => IcmpKind::TooBig,
        Unreachable4::NetworkProhibited
        | Unreachable4::HostProhibited
        | Unreachable4::FilterProhibited => IcmpKind::Prohibited,
        Unreachable4::Network
        | Unreachable4::Host
        | Unreachable4::Protocol
        | Unreachable4::SourceRouteFailed
        | Unreachable4::NetworkUnknown
        | Unreachable4::HostUnknown
        | Unreachable4::Isolated
        | Unreachable4::TosNetwork
        | Unreachable4::TosHost
        | Unreachable4::HostPrecedenceViolation
        | Unreachable4::PrecedenceCutoff => IcmpKind::Unreachable,
    })
}

fn kind6(header: [u8; 8]) -> Option<IcmpKind> {
    /// RFC 7112, RFC 8883: an error in the source routing header.
    const SOURCE_ROUTE: u8 = 7;

    let message = Icmpv6Slice::from_slice(&header).ok()?;
    // Rule 8.
    match (message.type_u8(), message.code_u8()) {
        (TYPE_DST_UNREACH, SOURCE_ROUTE) => return Some(IcmpKind::Unreachable),
        (TYPE_PACKET_TOO_BIG, _) => return Some(IcmpKind::TooBig),
        _ => {}
    }
    let Icmpv6Type::DestinationUnreachable(unreachable) = message.icmp_type() else { return None };
    Some(match unreachable {
        Unreachable6::Port => IcmpKind::PortUnreachable,
        Unreachable6::Prohibited
        | Unreachable6::SourceAddressFailedPolicy
        | Unreachable6::RejectRoute => IcmpKind::Prohibited,
        Unreachable6::NoRoute | Unreachable6::BeyondScope | Unreachable6::Address => {
            IcmpKind::Unreachable
        }
    })
}
