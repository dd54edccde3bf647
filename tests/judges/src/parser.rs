//! The shared parser against the reference.

use std::fmt;

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use monitor_common::{
    FlowKey, Side,
    icmp::{self, IcmpError},
    packet::{self, End, Link, MAX_EXTENSIONS, MAX_TAGS, Packet, Skip},
};

use crate::reference::{Frame, Seen};

/// Two judges say different things of a frame.
#[derive(Debug)]
pub struct Disagreement {
    /// The smallest frame found of which they do.
    pub frame: Vec<u8>,
    /// What it starts with.
    pub link: Link,
    /// What they say.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        write!(f, "frame of {:?}: {}", self.link, hex(&self.frame))
    }
}

/// The bytes of a frame in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// What the parser and the reference have to say alike.
pub fn judge(bytes: &[u8], link: Link) -> Result<(), Disagreement> {
    if disagreement(bytes, link).is_none() {
        return Ok(());
    }
    let frame = smallest(bytes.to_vec(), |bytes| disagreement(bytes, link).is_some());
    let what = disagreement(&frame, link).unwrap_or_default();
    Err(Disagreement { frame, link, what })
}

fn disagreement(bytes: &[u8], link: Link) -> Option<String> {
    let frame = Frame::new(bytes);
    let found = packet::locate(bytes, link);
    let seen = found.map(|packet| seen(bytes, packet));
    let expected = frame.packet(link);
    if seen != expected {
        return Some(format!("parser {seen:?}\nreference {expected:?}"));
    }
    let plain = packet::locate_plain(bytes, link);
    if plain != found && plain != Err(Skip::Deeper) {
        return Some(format!("plain parser {plain:?}\nparser {found:?}"));
    }
    let error =
        icmp::locate(bytes, link).map(|IcmpError { kind, about }| (kind, self::seen(bytes, about)));
    let expected = frame.error(link);
    if error != expected {
        return Some(format!("parser of ICMP {error:?}\nreference {expected:?}"));
    }
    let strict = whole(bytes, link)?;
    let ports = found.map(|packet| (packet.source_port, packet.destination_port));
    (ports != Ok(strict)).then(|| format!("parser {found:?}\nreference as a whole {strict:?}"))
}

fn seen(bytes: &[u8], packet: Packet) -> Seen {
    let octets = |end| {
        let words = packet.address(bytes, end).unwrap();
        FlowKey::new(words, 0, packet.transport, Side::Client, false).peer_octets()
    };
    Seen {
        packet,
        source: octets(End::Source),
        destination: octets(End::Destination),
        flags: packet.tcp_flags(bytes),
        headers: packet.headers(bytes),
    }
}

/// The ports of a packet that the reference finds by its own way, where it has no fault at all and
/// none of the rules of [`reference`](crate::reference) applies.
fn whole(bytes: &[u8], link: Link) -> Option<(u16, u16)> {
    let sliced = match link {
        Link::Ethernet => SlicedPacket::from_ethernet(bytes),
        Link::Ip => SlicedPacket::from_ip(bytes),
    };
    let sliced = sliced.ok()?;
    let is_tag = |extension: &LinkExtSlice<'_>| matches!(extension, LinkExtSlice::Vlan(_));
    if sliced.link_exts.len() > MAX_TAGS || !sliced.link_exts.iter().all(is_tag) {
        return None;
    }
    match sliced.net? {
        NetSlice::Ipv4(ip) => ip.extensions().is_empty().then_some(())?,
        NetSlice::Ipv6(ip) => {
            (ip.extensions().clone().into_iter().count() <= MAX_EXTENSIONS).then_some(())?;
        }
        NetSlice::Arp(_) => return None,
    }
    match sliced.transport? {
        TransportSlice::Tcp(tcp) => Some((tcp.source_port(), tcp.destination_port())),
        TransportSlice::Udp(udp) => Some((udp.source_port(), udp.destination_port())),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => None,
    }
}

/// Cuts a frame, and sets its bytes to zero, as long as it stays bad.
pub fn smallest(mut bytes: Vec<u8>, is_bad: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut step = bytes.len() / 2;
    while step > 0 {
        match bytes.get(..bytes.len().saturating_sub(step)) {
            Some(shorter) if is_bad(shorter) => bytes.truncate(shorter.len()),
            _ => step /= 2,
        }
    }
    for at in 0..bytes.len() {
        let byte = std::mem::take(&mut bytes[at]);
        if byte != 0 && !is_bad(&bytes) {
            bytes[at] = byte;
        }
    }
    bytes
}
