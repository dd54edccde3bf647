//! Whose a connection is that began before the capture.

use std::net::IpAddr;

use super::{ACK, HOST, PEER, SYN, SYN_ACK, frame, host, sql_server, tcp, udp};
use crate::{
    expect::documented_ports,
    observe::{FlowId, Side, Transport},
    source::capture::{Conversations, Place},
};

const OTHER: [u8; 4] = [10, 20, 0, 9];
const STRANGER: [u8; 4] = [192, 0, 2, 7];

/// Ports and sides of open flows, and of unclear ones with their packets.
type Flows = (Vec<(u16, Side)>, Vec<(u16, Side, u64)>);
type Ends = [([u8; 4], u16); 2];

fn noted(packets: &[(Ends, u8)]) -> Conversations {
    let mut conversations = Conversations::new(documented_ports(&sql_server()));
    for (ends, flags) in packets {
        conversations.note(&frame(&tcp(*ends, *flags, 1, 0, 0), 0, Place::Single));
    }
    conversations
}

/// Flows that are open from before, and those that are unclear with how many packets.
fn placed(packets: &[(Ends, u8)]) -> Flows {
    let placed = noted(packets).placed(&host(), &sql_server());
    (
        placed.open.iter().map(|flow| (flow.service_port, flow.side)).collect(),
        placed.unclear.iter().map(|(flow, n)| (flow.service_port, flow.side, *n)).collect(),
    )
}

#[test]
fn peer_of_the_port_is_at_its_service() {
    let client = (vec![(11_113, Side::Client)], vec![]);
    assert_eq!(placed(&[([(HOST, 40_000), (PEER, 11_113)], ACK)]), client);
    assert_eq!(placed(&[([(PEER, 11_113), (HOST, 40_000)], ACK)]), client);
    let server = (vec![(50_051, Side::Server)], vec![]);
    assert_eq!(placed(&[([(PEER, 40_000), (HOST, 50_051)], ACK)]), server);
    // Nobody expects a stranger there, nor a packet of others.
    assert_eq!(placed(&[([(HOST, 40_000), (STRANGER, 11_113)], ACK)]), (vec![], vec![]));
    assert_eq!(placed(&[([(PEER, 40_000), (OTHER, 50_051)], ACK)]), (vec![], vec![]));
}

#[test]
fn port_that_systems_give_decides_nothing_by_itself() {
    // This host asks a service of its own on the peer, and was given port 50051 for it.
    let asks = [(HOST, 50_051), (PEER, 2_050)];
    assert_eq!(placed(&[(asks, ACK), (asks, ACK)]), (vec![], vec![(50_051, Side::Server, 2)]));
    // Another attempt at that service shows which it is.
    let opens = ([(HOST, 40_000), (PEER, 2_050)], SYN);
    assert_eq!(placed(&[(asks, ACK), opens]), (vec![], vec![]));
    // Two connections at the one port: it is the service's.
    let second = ([(HOST, 50_051), (PEER, 3_050)], ACK);
    assert_eq!(placed(&[(asks, ACK), second]), (vec![(50_051, Side::Server)], vec![]));
}

#[test]
fn lower_of_two_documented_ports_is_the_service_unless_an_opening_says_otherwise() {
    let both = [(HOST, 50_051), (PEER, 11_113)];
    assert_eq!(placed(&[(both, ACK)]), (vec![(11_113, Side::Client)], vec![]));
    let opened = ([(PEER, 40_000), (HOST, 50_051)], SYN);
    let (open, _) = placed(&[(both, ACK), opened]);
    assert!(open.contains(&(50_051, Side::Server)), "{open:?}");
}

#[test]
fn opening_that_is_captured_needs_no_placing() {
    let up = [(PEER, 40_000), (HOST, 50_051)];
    let down = [(HOST, 50_051), (PEER, 40_000)];
    assert_eq!(placed(&[(up, SYN), (down, SYN_ACK), (up, ACK)]), (vec![], vec![]));
    assert_eq!(placed(&[(down, SYN_ACK), (up, ACK)]), (vec![], vec![]));
    assert_eq!(placed(&[(up, ACK), (up, SYN)]), (vec![(50_051, Side::Server)], vec![]));
}

#[test]
fn address_that_was_not_given_is_named() {
    let missing = |packets: &[(Ends, u8)]| -> Vec<(IpAddr, Vec<(FlowId, u64)>)> {
        let missing = noted(packets).missing(&host(), &sql_server());
        missing.into_iter().map(|(own, flows)| (own, flows.into_iter().collect())).collect()
    };
    let second = [10, 99, 0, 1];
    let flow = |service_port, side| FlowId {
        service_port,
        transport: Transport::Tcp,
        side,
        loopback: false,
        peer: PEER.into(),
    };
    let asked = ([(PEER, 40_000), (second, 50_051)], SYN);
    let asks = ([(second, 40_000), (PEER, 11_113)], SYN);
    let given = ([(PEER, 40_000), (HOST, 50_051)], SYN);
    let of_others = ([(STRANGER, 40_000), (second, 50_051)], SYN);
    assert_eq!(missing(&[given, of_others]), []);
    let flows = vec![(flow(11_113, Side::Client), 1), (flow(50_051, Side::Server), 2)];
    assert_eq!(missing(&[asked, asks, asked, given]), [(second.into(), flows)]);
}

#[test]
fn answer_to_a_question_before_the_capture_has_its_flow() {
    let text = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                peers.client = [\"10.20.0.0/24\"]\n";
    let expectations =
        crate::expect::expectations(&crate::config::parse("test.toml", text).unwrap());
    let placed = |packets: &[Ends]| {
        let mut conversations = Conversations::new(documented_ports(&expectations));
        for ends in packets {
            conversations.note(&frame(&udp(*ends), 0, Place::Single));
        }
        let open = conversations.placed(&host(), &expectations).open;
        open.into_iter().map(|flow| (flow.service_port, flow.side)).collect::<Vec<_>>()
    };
    let (question, answer) = ([(PEER, 40_000), (HOST, 6_363)], [(HOST, 6_363), (PEER, 40_000)]);
    assert_eq!(placed(&[answer]), [(6_363, Side::Server)]);
    assert_eq!(placed(&[question, answer]), []);
}
