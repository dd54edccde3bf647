//! ICMP errors, by who sent them about whose packet.

use super::{HOST, PEER, SYN, at, frame, host, ip, sql_server, tcp, udp};
use crate::{
    expect::documented_ports,
    observe::{FlowId, IcmpKind, Side, Tally},
    source::capture::{Capture, Place},
};

const ROUTER: [u8; 4] = [10, 20, 0, 254];
const OTHER: [u8; 4] = [10, 20, 0, 9];
const PROHIBITED: u8 = 13;
const UNREACHABLE: u8 = 1;

/// An error about a packet.
fn error(ends: [[u8; 4]; 2], code: u8, about: &[u8]) -> Vec<u8> {
    let mut packet = ip(ends, 1, 3, 8 + about.len());
    packet.extend([3, code, 0, 0, 0, 0, 0, 0]);
    packet.extend(about);
    packet
}

/// What is counted of packets, by flow.
fn counted(packets: &[Vec<u8>]) -> Vec<(FlowId, Tally)> {
    let ports = documented_ports(&sql_server());
    let mut capture = Capture::new(host(), ports, at(0), [].into());
    for packet in packets {
        capture.count(&frame(packet, 0, Place::Single));
    }
    capture.snapshot(at(1)).flows.iter().collect()
}

type Errors = (Side, Vec<(IcmpKind, bool, u64)>, Vec<(bool, u64)>);

/// Of the only flow: errors with whether they were received, and what the firewall turned down.
fn errors(packets: &[Vec<u8>]) -> Errors {
    let counted = counted(packets);
    let [(flow, tally)] = counted.as_slice() else { panic!("{counted:#?}") };
    assert!(!flow.loopback);
    (
        flow.side,
        tally.icmp.iter().map(|errors| (errors.kind, errors.received, errors.packets)).collect(),
        tally.dropped.iter().map(|drop| (drop.received, drop.packets)).collect(),
    )
}

#[test]
fn error_of_another_machine_is_received() {
    let syn = tcp([(HOST, 40_000), (PEER, 11_113)], SYN, 1, 0, 0);
    let said = error([ROUTER, HOST], PROHIBITED, &syn);
    let received = vec![(IcmpKind::Prohibited, true, 2)];
    assert_eq!(errors(&[syn, said.clone(), said.clone()]), (Side::Client, received, vec![]));
    // Nobody makes a flow by it.
    assert_eq!(counted(&[said]), []);
}

#[test]
fn error_of_this_host_is_sent_and_is_its_firewall() {
    let syn = tcp([(PEER, 40_000), (HOST, 50_051)], SYN, 1, 0, 0);
    let says = error([HOST, PEER], PROHIBITED, &syn);
    let sent = vec![(IcmpKind::Prohibited, false, 1)];
    assert_eq!(errors(&[syn, says]), (Side::Server, sent, vec![(true, 1)]));
}

#[test]
fn firewall_that_answers_this_hosts_own_programs_is_nobody_else() {
    // The packet itself never reached a device.
    let syn = tcp([(HOST, 40_000), (PEER, 11_113)], SYN, 1, 0, 0);
    let says = error([HOST, HOST], PROHIBITED, &syn);
    let sent = vec![(IcmpKind::Prohibited, false, 1)];
    assert_eq!(errors(&[says]), (Side::Client, sent, vec![(false, 1)]));
    // A neighbour that does not answer is no firewall.
    let says = error([HOST, HOST], UNREACHABLE, &syn);
    let sent = vec![(IcmpKind::Unreachable, false, 1)];
    assert_eq!(errors(&[says]), (Side::Client, sent, vec![]));
}

#[test]
fn error_about_what_others_say_to_others_is_nobodys() {
    let syn = tcp([(PEER, 40_000), (HOST, 50_051)], SYN, 1, 0, 0);
    let of_others = tcp([(PEER, 40_000), (OTHER, 50_051)], SYN, 1, 0, 0);
    // This host as a router, and a router beyond.
    let says = error([HOST, PEER], UNREACHABLE, &of_others);
    let said = error([ROUTER, PEER], UNREACHABLE, &syn);
    let counted = counted(&[syn, says, said]);
    assert_eq!(counted.len(), 1);
    assert!(counted.iter().all(|(_, tally)| tally.icmp.is_empty()), "{counted:#?}");
}

#[test]
fn datagram_that_nothing_takes_is_not_the_firewalls_for_sure() {
    let text = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                peers.client = [\"10.20.0.0/24\"]\n";
    let expectations =
        crate::expect::expectations(&crate::config::parse("test.toml", text).unwrap());
    let mut capture = Capture::new(host(), documented_ports(&expectations), at(0), [].into());
    let question = udp([(PEER, 40_000), (HOST, 6_363)]);
    for packet in [&question, &error([HOST, PEER], 3, &question)] {
        capture.count(&frame(packet, 0, Place::Single));
    }
    let flows: Vec<_> = capture.snapshot(at(1)).flows.iter().collect();
    let [(_, tally)] = flows.as_slice() else { panic!("{flows:#?}") };
    assert_eq!((tally.icmp.len(), tally.dropped.len()), (1, 0));
}
