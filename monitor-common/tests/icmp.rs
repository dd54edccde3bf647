//! ICMP errors and the packets that they are about, against an independent builder, and on any bytes.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is a test")]

use etherparse::PacketBuilder;
use monitor_common::{
    IcmpKind, Transport,
    icmp::{self, IcmpError},
    packet::{End, Link, Skip},
};
use proptest::prelude::*;

const ROUTER4: [u8; 4] = [10, 9, 9, 9];
const HOST4: [u8; 4] = [10, 0, 0, 1];
const PEER4: [u8; 4] = [10, 0, 0, 2];
const HOST6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PEER6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A packet of the host to port 50051 of the peer.
fn about(six: bool, tcp: bool) -> Vec<u8> {
    let ip = if six {
        PacketBuilder::ipv6(HOST6, PEER6, 64)
    } else {
        PacketBuilder::ipv4(HOST4, PEER4, 64)
    };
    let mut bytes = Vec::new();
    if tcp {
        ip.tcp(40_000, 50_051, 1, 100).syn().write(&mut bytes, &[]).unwrap();
    } else {
        ip.udp(40_000, 50_051).write(&mut bytes, &[1, 2, 3]).unwrap();
    }
    bytes
}

/// An ICMP message with a type, a code and what it carries, for the host.
fn message(six: bool, kind: u8, code: u8, carried: &[u8]) -> Vec<u8> {
    if six { message6(kind, code, carried) } else { message4(kind, code, carried) }
}

fn message4(kind: u8, code: u8, carried: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ip = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4(ROUTER4, HOST4, 64);
    ip.icmpv4_raw(kind, code, [0; 4]).write(&mut bytes, carried).unwrap();
    bytes
}

fn message6(kind: u8, code: u8, carried: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ip = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6(PEER6, HOST6, 64);
    ip.icmpv6_raw(kind, code, [0; 4]).write(&mut bytes, carried).unwrap();
    bytes
}

fn kind_of(six: bool, kind: u8, code: u8) -> Result<IcmpKind, Skip> {
    let bytes = message(six, kind, code, &about(six, true));
    icmp::locate(bytes.as_slice(), Link::Ethernet).map(|error| error.kind)
}

#[test]
fn types_and_codes_mean_what_their_documents_say() {
    let only = |six, kind| (0..=u8::MAX).filter_map(move |code| kind_of(six, kind, code).ok());
    let count = |six, kind, what| only(six, kind).filter(|found| *found == what).count();
    for (code, what) in [
        (0, IcmpKind::Unreachable),
        (1, IcmpKind::Unreachable),
        (2, IcmpKind::Unreachable),
        (3, IcmpKind::PortUnreachable),
        (4, IcmpKind::TooBig),
        (9, IcmpKind::Prohibited),
        (10, IcmpKind::Prohibited),
        (13, IcmpKind::Prohibited),
    ] {
        assert_eq!(kind_of(false, 3, code), Ok(what), "{code}");
    }
    for (code, what) in [
        (0, IcmpKind::Unreachable),
        (1, IcmpKind::Prohibited),
        (3, IcmpKind::Unreachable),
        (4, IcmpKind::PortUnreachable),
        (5, IcmpKind::Prohibited),
        (6, IcmpKind::Prohibited),
    ] {
        assert_eq!(kind_of(true, 1, code), Ok(what), "{code}");
    }
    assert_eq!(kind_of(true, 2, 0), Ok(IcmpKind::TooBig));
    assert_eq!((only(false, 3).count(), only(true, 1).count()), (16, 8));
    assert_eq!(
        (count(false, 3, IcmpKind::Prohibited), count(true, 1, IcmpKind::Prohibited)),
        (3, 3)
    );
    // Echoes, time exceeded, neighbours.
    for (six, kind) in [(false, 0), (false, 8), (false, 11), (true, 3), (true, 128), (true, 135)] {
        assert_eq!(kind_of(six, kind, 0), Err(Skip::OtherTransport), "{kind}");
    }
}

#[test]
fn packet_inside_tells_the_flow() {
    for (six, tcp) in [(false, true), (false, false), (true, true), (true, false)] {
        let kind = if six { 1 } else { 3 };
        let bytes = message(six, kind, 0, &about(six, tcp));
        let IcmpError { about, .. } = icmp::locate(bytes.as_slice(), Link::Ethernet).unwrap();
        assert_eq!((about.source_port, about.destination_port), (40_000, 50_051));
        assert_eq!(about.transport == Transport::Tcp, tcp);
        let octets = |end| {
            let peer = about.address(bytes.as_slice(), end).unwrap();
            monitor_common::FlowKey { peer, service: 0 }.peer_octets()
        };
        let (own, peer) = if six { (HOST6, PEER6) } else { (mapped(HOST4), mapped(PEER4)) };
        assert_eq!((octets(End::Source), octets(End::Destination)), (own, peer));
    }
}

fn mapped(address: [u8; 4]) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

#[test]
fn no_more_than_the_ports_are_needed_and_no_less() {
    let whole = about(false, true);
    let enough = message(false, 3, 1, &whole[..28]);
    icmp::locate(enough.as_slice(), Link::Ethernet).unwrap();
    for length in 0..24 {
        let cut = message(false, 3, 1, &whole[..length]);
        let found = icmp::locate(cut.as_slice(), Link::Ethernet);
        assert_eq!(found, Err(Skip::Truncated), "{length}");
    }
}

#[test]
fn error_about_an_error_does_not_count() {
    let inner = message(false, 3, 1, &about(false, true));
    let bytes = message(false, 3, 1, &inner[14..]);
    assert_eq!(icmp::locate(bytes.as_slice(), Link::Ethernet), Err(Skip::Icmp));
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..120), six in any::<bool>()) {
        for link in [Link::Ethernet, Link::Ip] {
            let _any = icmp::locate(bytes.as_slice(), link);
        }
        let kind = if six { 1 } else { 3 };
        let framed = message(six, kind, 0, &bytes);
        if let Ok(found) = icmp::locate(framed.as_slice(), Link::Ethernet) {
            found.about.address(framed.as_slice(), End::Source).unwrap();
            found.about.address(framed.as_slice(), End::Destination).unwrap();
        }
    }
}
