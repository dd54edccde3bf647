//! The parser against an independent one, on packets with every header it takes, and on any bytes.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is a test")]

use etherparse::{
    EtherType, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header, PacketBuilder,
    SlicedPacket, TransportSlice, VlanId,
};
use monitor_common::{
    Transport,
    packet::{self, End, Link, MAX_EXTENSIONS, Packet, Skip, Version},
};
use proptest::prelude::*;

/// A frame, and what is in it.
#[derive(Clone, Debug)]
struct Frame {
    bytes: Vec<u8>,
    source_port: u16,
    destination_port: u16,
    tcp: bool,
    plain: bool,
}

fn transport(tcp: bool, source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    if tcp {
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        bytes.extend([0, 12, 0, 0]);
    }
    bytes.extend([1, 2, 3, 4]);
    bytes
}

fn ethernet(tags: &[u16], ethertype: u16) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 7]);
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes
}

fn v4(options: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut header =
        Ipv4Header::new(length, 64, IpNumber(protocol), [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
    header.options = Ipv4Options::try_from(options).unwrap();
    header.set_payload_len(payload.len()).unwrap();
    let mut bytes = Vec::new();
    header.write(&mut bytes).unwrap();
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet with extension headers of these kinds, each of 8 bytes.
fn v6(extensions: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let kinds: Vec<u8> = extensions.iter().copied().chain([protocol]).collect();
    let mut body = Vec::new();
    for next in &kinds[1..] {
        body.extend([*next, 0, 0, 0, 0, 0, 0, 0]);
    }
    body.extend(payload);
    let header = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: u16::try_from(body.len()).unwrap(),
        next_header: IpNumber(kinds[0]),
        hop_limit: 64,
        source: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        destination: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes).unwrap();
    bytes.extend(body);
    bytes
}

const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

prop_compose! {
    fn frames()(
        tags in prop::sample::select(vec![&[][..], &[0x8100], &[0x88a8, 0x8100]]),
        six in any::<bool>(),
        tcp in any::<bool>(),
        words in 0..=10_usize,
        hop_by_hop in any::<bool>(),
        destinations in 0..MAX_EXTENSIONS - 1,
        source_port in any::<u16>(),
        destination_port in any::<u16>(),
        flags in 0..64_u8,
    ) -> Frame {
        let payload = transport(tcp, source_port, destination_port, flags);
        let protocol = if tcp { 6 } else { 17 };
        let mut extensions = vec![DESTINATION; destinations];
        if hop_by_hop {
            extensions.insert(0, HOP_BY_HOP);
        }
        let plain = tags.is_empty() && (!six || extensions.is_empty());
        let (ethertype, packet) = if six {
            (0x86dd, v6(&extensions, protocol, &payload))
        } else {
            (0x0800, v4(&vec![1; words * 4], protocol, &payload))
        };
        let mut bytes = ethernet(tags, ethertype);
        bytes.extend(packet);
        Frame { bytes, source_port, destination_port, tcp, plain }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 4096 }))]

    #[test]
    fn every_header_it_takes_is_looked_through(frame in frames()) {
        let found = packet::locate(frame.bytes.as_slice(), Link::Ethernet).unwrap();
        prop_assert_eq!(found.source_port, frame.source_port);
        prop_assert_eq!(found.destination_port, frame.destination_port);
        prop_assert_eq!(found.transport == Transport::Tcp, frame.tcp);
        prop_assert_eq!(found.headers(frame.bytes.as_slice()), Some(frame.bytes.len() - 4));
        let without_link = &frame.bytes[found.network..];
        let l3 = packet::locate(without_link, Link::Ip).unwrap();
        prop_assert_eq!(l3.transport_header + found.network, found.transport_header);
    }

    #[test]
    fn it_agrees_with_an_independent_parser(frame in frames()) {
        let found = packet::locate(frame.bytes.as_slice(), Link::Ethernet).unwrap();
        let sliced = SlicedPacket::from_ethernet(&frame.bytes).unwrap();
        let (ports, flags) = match sliced.transport.unwrap() {
            TransportSlice::Tcp(tcp) => {
                let bits = [(tcp.fin(), 1), (tcp.syn(), 2), (tcp.rst(), 4), (tcp.psh(), 8), (tcp.ack(), 16), (tcp.urg(), 32)];
                let flags = bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
                ((tcp.source_port(), tcp.destination_port()), flags)
            }
            TransportSlice::Udp(udp) => ((udp.source_port(), udp.destination_port()), 0),
            TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => {
                return Err(TestCaseError::fail("neither TCP nor UDP"));
            }
        };
        prop_assert_eq!((found.source_port, found.destination_port), ports);
        prop_assert_eq!(found.tcp_flags(frame.bytes.as_slice()), Some(flags));
    }

    #[test]
    fn the_plain_way_agrees_or_says_that_it_is_deeper(frame in frames()) {
        let full = packet::locate(frame.bytes.as_slice(), Link::Ethernet);
        let plain = packet::locate_plain(frame.bytes.as_slice(), Link::Ethernet);
        let expected = if frame.plain { full } else { Err(Skip::Deeper) };
        prop_assert_eq!(plain, expected);
    }

    #[test]
    fn any_bytes_are_taken_and_both_ways_agree(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for link in [Link::Ethernet, Link::Ip] {
            let full = packet::locate(bytes.as_slice(), link);
            match packet::locate_plain(bytes.as_slice(), link) {
                Err(Skip::Deeper) => {}
                plain => prop_assert_eq!(plain, full),
            }
            if let Ok(found) = full {
                found.address(bytes.as_slice(), End::Source).unwrap();
                found.address(bytes.as_slice(), End::Destination).unwrap();
            }
        }
    }

    #[test]
    fn cut_frame_is_truncated_and_never_another(frame in frames(), cut in any::<prop::sample::Index>()) {
        let whole = packet::locate(frame.bytes.as_slice(), Link::Ethernet).unwrap();
        let length = cut.index(whole.transport_header + 4);
        let found = packet::locate(&frame.bytes[..length], Link::Ethernet);
        prop_assert_eq!(found, Err(Skip::Truncated));
    }
}

fn on_ethernet(ethertype: u16, packet: &[u8]) -> Result<Packet, Skip> {
    let mut bytes = ethernet(&[], ethertype);
    bytes.extend(packet);
    packet::locate(bytes.as_slice(), Link::Ethernet)
}

#[test]
fn addresses_are_one_kind() {
    let payload = transport(true, 1, 2, 0);
    let bytes = v4(&[], 6, &payload);
    let found = packet::locate(bytes.as_slice(), Link::Ip).unwrap();
    assert_eq!(found.version, Version::V4);
    let octets =
        |words: [u64; 2]| monitor_common::FlowKey { peer: words, service: 0 }.peer_octets();
    let source = octets(found.address(bytes.as_slice(), End::Source).unwrap());
    assert_eq!(source, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
    let bytes = v6(&[], 6, &payload);
    let found = packet::locate(bytes.as_slice(), Link::Ip).unwrap();
    let destination = octets(found.address(bytes.as_slice(), End::Destination).unwrap());
    assert_eq!(destination, [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn later_fragments_have_no_ports_and_the_first_has() {
    let mut later = v4(&[], 17, &transport(false, 1, 2, 0));
    later[7] = 1;
    assert_eq!(on_ethernet(0x0800, &later), Err(Skip::Fragment));
    let mut first = v4(&[], 17, &transport(false, 1, 2, 0));
    first[6] = 0x20;
    assert_eq!(on_ethernet(0x0800, &first).unwrap().destination_port, 2);
    let mut later = v6(&[FRAGMENT], 17, &transport(false, 1, 2, 0));
    later[43] = 8;
    assert_eq!(on_ethernet(0x86dd, &later), Err(Skip::Fragment));
    let mut first = v6(&[FRAGMENT], 17, &transport(false, 1, 2, 0));
    first[43] = 1;
    assert_eq!(on_ethernet(0x86dd, &first).unwrap().destination_port, 2);
}

#[test]
fn more_headers_than_the_bound_are_malformed() {
    let payload = transport(true, 1, 2, 0);
    let most = [DESTINATION; MAX_EXTENSIONS];
    assert_eq!(on_ethernet(0x86dd, &v6(&most, 6, &payload)).unwrap().destination_port, 2);
    let too_many = [DESTINATION; MAX_EXTENSIONS + 1];
    assert_eq!(on_ethernet(0x86dd, &v6(&too_many, 6, &payload)), Err(Skip::Malformed));
    let mut tagged = ethernet(&[0x88a8, 0x8100, 0x8100], 0x0800);
    tagged.extend(v4(&[], 6, &payload));
    assert_eq!(packet::locate(tagged.as_slice(), Link::Ethernet), Err(Skip::Malformed));
}

#[test]
fn what_is_not_ours_is_told_apart() {
    assert_eq!(on_ethernet(0x0806, &[0; 28]), Err(Skip::NotIp));
    assert_eq!(on_ethernet(0x0800, &v4(&[], 47, &[8; 8])), Err(Skip::OtherTransport));
    assert_eq!(on_ethernet(0x86dd, &v6(&[], 1, &[8; 8])), Err(Skip::OtherTransport));
    assert_eq!(on_ethernet(0x0800, &v4(&[], 1, &[8; 8])), Err(Skip::Icmp));
    assert_eq!(on_ethernet(0x86dd, &v6(&[], 58, &[8; 8])), Err(Skip::Icmp));
    let mut short_header = v4(&[], 6, &transport(true, 1, 2, 0));
    short_header[0] = 0x44;
    assert_eq!(on_ethernet(0x0800, &short_header), Err(Skip::Malformed));
    let mut wrong_version = v6(&[], 6, &transport(true, 1, 2, 0));
    wrong_version[0] = 0x40;
    assert_eq!(on_ethernet(0x86dd, &wrong_version), Err(Skip::Malformed));
}

#[test]
fn frame_of_the_independent_builder_is_read() {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
        .double_vlan(VlanId::try_new(1).unwrap(), VlanId::try_new(2).unwrap())
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, 50_051, 0, 100)
        .syn();
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &[]).unwrap();
    assert_eq!(bytes[12..14], EtherType::PROVIDER_BRIDGING.0.to_be_bytes());
    let found = packet::locate(bytes.as_slice(), Link::Ethernet).unwrap();
    assert_eq!((found.source_port, found.destination_port), (40_000, 50_051));
    assert_eq!(found.tcp_flags(bytes.as_slice()), Some(packet::SYN));
}
