//! Finds the ports and addresses of a packet: the one parser that kernel, replay and tests share.
//!
//! It takes at most [`MAX_TAGS`] VLAN tags in band and [`MAX_EXTENSIONS`] IPv6 extension headers,
//! so that its loops are bounded for the kernel's verifier.

use crate::Transport;

/// VLAN tags in band that are looked through. The kernel keeps a further, outer one in metadata.
pub const MAX_TAGS: usize = 2;
/// IPv6 extension headers that are looked through.
pub const MAX_EXTENSIONS: usize = 6;

/// TCP flag: no more data.
pub const FIN: u8 = 0x01;
/// TCP flag: opens a connection.
pub const SYN: u8 = 0x02;
/// TCP flag: ends a connection at once.
pub const RST: u8 = 0x04;
/// TCP flag: acknowledges.
pub const ACK: u8 = 0x10;
/// The answer to [`SYN`].
pub const SYN_ACK: u8 = SYN | ACK;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;
const ETHERTYPE: usize = 12;

const ICMP4: u8 = 1;
const ICMP6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Bytes of one packet, from its first header on. `None` past the end.
pub trait Bytes {
    /// The byte at an offset.
    fn byte(&self, at: usize) -> Option<u8>;
    /// The 16-bit number in network byte order at an offset.
    fn number(&self, at: usize) -> Option<u16>;
    /// The 32-bit number in network byte order at an offset.
    fn long_number(&self, at: usize) -> Option<u32>;
    /// Eight bytes at an offset, as they stand in memory.
    fn word(&self, at: usize) -> Option<u64>;
}

impl Bytes for [u8] {
    fn byte(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }

    fn number(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.get(at..)?.first_chunk()?))
    }

    fn long_number(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.get(at..)?.first_chunk()?))
    }

    #[expect(clippy::host_endian_bytes, reason = "a word is bytes in memory, not a number")]
    fn word(&self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(*self.get(at..)?.first_chunk()?))
    }
}

/// What a packet starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// The IP header (tun, `WireGuard`, IP tunnels).
    Ip,
}

/// Why a packet has no ports to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// A transport without service ports, or none.
    OtherTransport,
    /// A message of ICMP or `ICMPv6`: [`icmp::locate`](crate::icmp::locate) looks into it.
    Icmp,
    /// A fragment other than the first.
    Fragment,
    /// The headers end before the ports.
    Truncated,
    /// [`locate_plain`] does not look that deep.
    Deeper,
    /// The headers contradict themselves, or are more than the parser looks through.
    Malformed,
}

/// Version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Where the headers of a packet with ports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Offset of the IP header.
    pub network: usize,
    /// Offset of the TCP or UDP header.
    pub transport_header: usize,
    /// Version of the IP header.
    pub version: Version,
    /// The transport.
    pub transport: Transport,
    /// The source port.
    pub source_port: u16,
    /// The destination port.
    pub destination_port: u16,
}

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

impl End {
    /// The other one.
    #[must_use]
    #[inline(always)]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// Finds the headers of a packet.
#[inline(always)]
pub fn locate<B: Bytes + ?Sized>(bytes: &B, link: Link) -> Result<Packet, Skip> {
    let (network, version) = after_link(bytes, link)?;
    let (protocol, transport_header) = after_ip(bytes, network, version)?;
    ports(bytes, network, version, protocol, transport_header)
}

/// Offset of the IP header, and its version.
#[inline(always)]
pub(crate) fn after_link<B: Bytes + ?Sized>(
    bytes: &B,
    link: Link,
) -> Result<(usize, Version), Skip> {
    match link {
        Link::Ethernet => after_ethernet(bytes),
        Link::Ip => Ok((0, version(bytes)?)),
    }
}

/// The protocol behind the IP headers, and the offset of its header.
#[inline(always)]
pub(crate) fn after_ip<B: Bytes + ?Sized>(
    bytes: &B,
    at: usize,
    version: Version,
) -> Result<(u8, usize), Skip> {
    match version {
        Version::V4 => after_ipv4(bytes, at),
        Version::V6 => after_ipv6(bytes, at),
    }
}

/// Finds the headers of a packet without VLAN tags in band and without IPv6 extension headers,
/// which is nearly every one: for the others it says [`Skip::Deeper`]. Else it agrees with
/// [`locate`], at half the cost.
#[inline(always)]
pub fn locate_plain<B: Bytes + ?Sized>(bytes: &B, link: Link) -> Result<Packet, Skip> {
    let (network, version) = match link {
        Link::Ethernet => match bytes.number(ETHERTYPE).ok_or(Skip::Truncated)? {
            IPV4 => (ETHERTYPE + 2, Version::V4),
            IPV6 => (ETHERTYPE + 2, Version::V6),
            VLAN | QINQ | QINQ_OLD => return Err(Skip::Deeper),
            _ => return Err(Skip::NotIp),
        },
        Link::Ip => (0, version(bytes)?),
    };
    let (protocol, transport_header) = match version {
        Version::V4 => after_ipv4(bytes, network)?,
        Version::V6 => {
            let (protocol, at) = after_fixed_ipv6(bytes, network)?;
            if is_extension(protocol) {
                return Err(Skip::Deeper);
            }
            (protocol, at)
        }
    };
    ports(bytes, network, version, protocol, transport_header)
}

#[inline(always)]
fn version<B: Bytes + ?Sized>(bytes: &B) -> Result<Version, Skip> {
    match bytes.byte(0).ok_or(Skip::Truncated)? >> 4 {
        4 => Ok(Version::V4),
        6 => Ok(Version::V6),
        _ => Err(Skip::NotIp),
    }
}

#[inline(always)]
pub(crate) fn ports<B: Bytes + ?Sized>(
    bytes: &B,
    network: usize,
    version: Version,
    protocol: u8,
    transport_header: usize,
) -> Result<Packet, Skip> {
    let Some(transport) = Transport::from_protocol(protocol) else {
        return Err(match (version, protocol) {
            (Version::V4, ICMP4) | (Version::V6, ICMP6) => Skip::Icmp,
            _ => Skip::OtherTransport,
        });
    };
    let ports = bytes.long_number(transport_header).ok_or(Skip::Truncated)?;
    #[expect(clippy::cast_possible_truncation, reason = "each is one half")]
    let (source_port, destination_port) = ((ports >> 16) as u16, ports as u16);
    Ok(Packet { network, transport_header, version, transport, source_port, destination_port })
}

/// Offset of the IP header, and its version.
#[inline(always)]
fn after_ethernet<B: Bytes + ?Sized>(bytes: &B) -> Result<(usize, Version), Skip> {
    let mut at = ETHERTYPE;
    for _ in 0..=MAX_TAGS {
        match bytes.number(at).ok_or(Skip::Truncated)? {
            IPV4 => return Ok((at + 2, Version::V4)),
            IPV6 => return Ok((at + 2, Version::V6)),
            VLAN | QINQ | QINQ_OLD => at += 4,
            _ => return Err(Skip::NotIp),
        }
    }
    Err(Skip::Malformed)
}

/// The protocol, and the offset of its header.
#[inline(always)]
fn after_ipv4<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Result<(u8, usize), Skip> {
    let first = bytes.byte(at).ok_or(Skip::Truncated)?;
    if first >> 4 != 4 || first & 0xf < 5 {
        return Err(Skip::Malformed);
    }
    // Flags and offset of the fragment, time to live, protocol.
    let [high, low, _, protocol] = bytes.long_number(at + 6).ok_or(Skip::Truncated)?.to_be_bytes();
    if high & 0x1f != 0 || low != 0 {
        return Err(Skip::Fragment);
    }
    Ok((protocol, at + (first & 0xf) as usize * 4))
}

/// The protocol that the fixed header names, and the offset of what follows it.
#[inline(always)]
fn after_fixed_ipv6<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Result<(u8, usize), Skip> {
    if bytes.byte(at).ok_or(Skip::Truncated)? >> 4 != 6 {
        return Err(Skip::Malformed);
    }
    Ok((bytes.byte(at + 6).ok_or(Skip::Truncated)?, at + 40))
}

/// The protocol after the extension headers, and the offset of its header.
#[inline(always)]
fn after_ipv6<B: Bytes + ?Sized>(bytes: &B, at: usize) -> Result<(u8, usize), Skip> {
    let (mut protocol, mut at) = after_fixed_ipv6(bytes, at)?;
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(protocol) {
            return Ok((protocol, at));
        }
        let unit = match protocol {
            FRAGMENT if bytes.number(at + 2).ok_or(Skip::Truncated)? & 0xfff8 != 0 => {
                return Err(Skip::Fragment);
            }
            FRAGMENT => 0,
            AUTHENTICATION => 4,
            _ => 8,
        };
        protocol = bytes.byte(at).ok_or(Skip::Truncated)?;
        at += 8 + bytes.byte(at + 1).ok_or(Skip::Truncated)? as usize * unit;
    }
    if is_extension(protocol) {
        return Err(Skip::Malformed);
    }
    Ok((protocol, at))
}

/// Whether a protocol number is that of an IPv6 extension header with another one behind it.
#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}

impl Packet {
    /// The address of one end, as [`FlowKey::peer`](crate::FlowKey::peer) has it.
    #[inline(always)]
    pub fn address<B: Bytes + ?Sized>(&self, bytes: &B, end: End) -> Option<[u64; 2]> {
        /// What stands before an IPv4 address in the second half of a mapped one.
        const MAPPED: u64 = 0xffff << 32;

        let at = self.network
            + match (self.version, end) {
                (Version::V4, End::Source) => 12,
                (Version::V4, End::Destination) => 16,
                (Version::V6, End::Source) => 8,
                (Version::V6, End::Destination) => 24,
            };
        match self.version {
            Version::V4 => Some([0, (MAPPED | u64::from(bytes.long_number(at)?)).to_be()]),
            Version::V6 => Some([bytes.word(at)?, bytes.word(at + 8)?]),
        }
    }

    /// The TCP flags ([`FIN`], [`SYN`], …), 0 for UDP.
    #[inline(always)]
    pub fn tcp_flags<B: Bytes + ?Sized>(&self, bytes: &B) -> Option<u8> {
        match self.transport {
            Transport::Tcp => bytes.byte(self.transport_header + 13),
            Transport::Udp => Some(0),
        }
    }

    /// The TCP sequence number, 0 for UDP.
    #[inline(always)]
    pub fn tcp_sequence<B: Bytes + ?Sized>(&self, bytes: &B) -> Option<u32> {
        match self.transport {
            Transport::Tcp => bytes.long_number(self.transport_header + 4),
            Transport::Udp => Some(0),
        }
    }

    /// Whether there is data behind the headers: by the length that the IP header gives, since short frames
    /// are padded. A length of 0 is that of a packet too large for the field.
    #[inline(always)]
    pub fn has_data<B: Bytes + ?Sized>(&self, bytes: &B) -> Option<bool> {
        let (field, before) = match self.version {
            Version::V4 => (2, 0),
            Version::V6 => (4, 40),
        };
        let length = usize::from(bytes.number(self.network + field)?);
        let headers = self.headers(bytes)?;
        Some(length == 0 || self.network + before + length > headers)
    }

    /// Bytes of all headers, which every segment of a coalesced packet carries on the wire.
    #[inline(always)]
    pub fn headers<B: Bytes + ?Sized>(&self, bytes: &B) -> Option<usize> {
        let transport = match self.transport {
            Transport::Tcp => (bytes.byte(self.transport_header + 12)? >> 4) as usize * 4,
            Transport::Udp => 8,
        };
        Some(self.transport_header + transport)
    }
}
