//! Datagrams count one by one, however the kernel bundles them.

use std::net::SocketAddr;

use nix::sys::socket::{setsockopt, sockopt};
use tests::{
    Counted, Daemon, Expectation, Flow, HOST4, HOST6, PEER4, PEER6, Pair, Wire, config, datagrams,
    udp_socket,
};

const SERVED: Flow<'_> = Flow("scan-32006", "server", "client");
const ASKED: Flow<'_> = Flow("scan-32006", "client", "client");
const PORT: u16 = 32006;

/// Ethernet, IP and UDP.
const HEADERS4: u64 = 14 + 20 + 8;
const HEADERS6: u64 = 14 + 40 + 8;

#[test]
fn datagrams_of_both_roles_and_versions_count() {
    let pair = Pair::without_offloads();
    let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
    let before = pair.host.counted("eth0");
    for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        let service = udp_socket(&pair.host, SocketAddr::new(host, PORT));
        let asker = udp_socket(&pair.peer, SocketAddr::new(peer, 0));
        let from = datagrams(&asker, service.local_addr().unwrap(), &service, 100, 1000);
        datagrams(&service, from, &asker, 70, 500);

        let service = udp_socket(&pair.peer, SocketAddr::new(peer, PORT));
        let asker = udp_socket(&pair.host, SocketAddr::new(host, 0));
        let from = datagrams(&asker, service.local_addr().unwrap(), &service, 30, 1);
        datagrams(&service, from, &asker, 20, 1400);
    }
    let both = HEADERS4 + HEADERS6;
    let served = (Wire::new(200, 200 * 1000 + 100 * both), Wire::new(140, 140 * 500 + 70 * both));
    let asked = (Wire::new(40, 40 * 1400 + 20 * both), Wire::new(60, 60 + 30 * both));
    let Counted { received, transmitted, .. } = pair.host.counted("eth0").since(before);
    assert_eq!(received, served.0.and(asked.0));
    assert_eq!(transmitted, served.1.and(asked.1));
    daemon.counts(SERVED, served.0, served.1);
    let report = daemon.counts(ASKED, asked.0, asked.1);
    assert_eq!(report.flow_map.entries, 4);
}

#[test]
fn datagrams_in_one_call_count_one_by_one() {
    const SIZE: u64 = 1200;
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
    let mut expected = (Wire::default(), Wire::default());
    for (host, peer, headers) in [(HOST4, PEER4, HEADERS4), (HOST6, PEER6, HEADERS6)] {
        let service = udp_socket(&pair.host, SocketAddr::new(host, PORT));
        let asker = udp_socket(&pair.peer, SocketAddr::new(peer, 0));
        bundle(&asker, &service, 20, 7);
        bundle(&service, &asker, 11, 1200);
        let bytes = |full: u64, rest: u64| full * SIZE + rest + (full + 1) * headers;
        expected = (
            expected.0.and(Wire::new(21, bytes(20, 7))),
            expected.1.and(Wire::new(12, bytes(11, 1200))),
        );
    }
    daemon.counts(SERVED, expected.0, expected.1);

    /// Sends that many full datagrams and one of the rest in a single call.
    fn bundle(from: &std::net::UdpSocket, to: &std::net::UdpSocket, full: usize, rest: usize) {
        let size = usize::try_from(SIZE).unwrap();
        setsockopt(from, sockopt::UdpGsoSegment, &1200).unwrap();
        let bytes = vec![0x33; full * size + rest];
        let sent = from.send_to(&bytes, to.local_addr().unwrap()).unwrap();
        assert_eq!(sent, bytes.len());
        let mut buffer = [0; 2000];
        let sizes: Vec<usize> = (0..=full).map(|_| to.recv_from(&mut buffer).unwrap().0).collect();
        assert_eq!(sizes, [vec![size; full], vec![rest]].concat());
    }
}

/// Nothing in such a datagram says which end asks: it is told by the first one.
#[test]
fn both_ends_on_the_service_port_are_one_flow() {
    let bytes = HEADERS4 + 10;
    let (five, three) = (Wire::new(5, 5 * bytes), Wire::new(3, 3 * bytes));
    for peer_asks in [true, false] {
        let pair = Pair::new();
        let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
        let host = udp_socket(&pair.host, SocketAddr::new(HOST4, PORT));
        let peer = udp_socket(&pair.peer, SocketAddr::new(PEER4, PORT));
        let (asks, answers) = if peer_asks { (&peer, &host) } else { (&host, &peer) };
        let from = datagrams(asks, answers.local_addr().unwrap(), answers, 5, 10);
        datagrams(answers, from, asks, 3, 10);
        let (flow, other, received, transmitted) =
            if peer_asks { (SERVED, ASKED, five, three) } else { (ASKED, SERVED, three, five) };
        let report = daemon.counts(flow, received, transmitted);
        assert_eq!(other.counted(&report), (Wire::default(), Wire::default()));
        assert_eq!(report.flow_map.entries, 1);
        daemon.verdict(flow, "ok", None);
        daemon.verdict(other, "idle", None);
    }
}

/// Once both ends have asked from other ports there are two flows, and every datagram between the service's ports is
/// taken for a question.
#[test]
fn silence_is_proven_only_by_more_questions_than_the_other_end_sent() {
    const REASON: &str =
        "both ends send to this port: what comes may be an answer, or a question of the other end";
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
    let host = udp_socket(&pair.host, SocketAddr::new(HOST4, PORT));
    let peer = udp_socket(&pair.peer, SocketAddr::new(PEER4, PORT));
    let (at_host, at_peer) = (host.local_addr().unwrap(), peer.local_addr().unwrap());
    datagrams(&udp_socket(&pair.host, SocketAddr::new(HOST4, 0)), at_peer, &peer, 1, 10);
    datagrams(&udp_socket(&pair.peer, SocketAddr::new(PEER4, 0)), at_host, &host, 1, 10);
    // Both ask five times, and both are answered.
    for _ in 0..10 {
        datagrams(&host, at_peer, &peer, 1, 10);
        datagrams(&peer, at_host, &host, 1, 10);
    }
    let bytes = HEADERS4 + 10;
    let eleven = Wire::new(11, 11 * bytes);
    daemon.counts(SERVED, eleven, Wire::default());
    daemon.counts(ASKED, Wire::default(), eleven);
    daemon.settles("both unknown", |report| {
        let said = [SERVED, ASKED].map(|flow| flow.find(report));
        let is_crossed = |said: &&Expectation| said.evidence.reason.as_deref() == Some(REASON);
        if said.iter().all(is_crossed) { Ok(()) } else { Err(format!("{said:?}")) }
    });
    for flow in [SERVED, ASKED] {
        daemon.verdict(flow, "unknown", None);
    }
    // Three more than the peer can have answered.
    datagrams(&host, at_peer, &peer, 3, 10);
    let said = daemon.verdict(ASKED, "blocked", Some("no-answer"));
    assert_eq!(said.evidence.failing[0].attempts, 14);
    daemon.verdict(SERVED, "unknown", None);
}
