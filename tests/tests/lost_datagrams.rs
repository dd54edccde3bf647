//! What stops datagrams, named from the host that they are stopped at.

use std::{io::ErrorKind, iter, net::IpAddr};

use tests::{Daemon, Flow, HOST4, Namespace, PEER4, Pair, at, golden, udp_socket};

use crate::causes::{drop_at, dropped};

/// Sends datagrams of a kilobyte to port 32006, faster than anyone reads.
fn scan(from: &Namespace, own: IpAddr, to: IpAddr, datagrams: usize) {
    let socket = udp_socket(from, at(own, 0));
    for _ in 0..datagrams {
        socket.send_to(&[0; 1024], at(to, 32006)).unwrap();
    }
}

pub(crate) const VAULT: &str = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                     sections = [\"udp_port_32006\"]\npeers.client = [\"10.20.0.0/24\"]\n\
                     peers.server = [\"10.99.0.0/24\"]\n";
pub(crate) const SCANNED: Flow<'_> = Flow("scan-32006", "server", "client");
pub(crate) const SCANS: Flow<'_> = Flow("scan-32006", "client", "client");

#[test]
fn datagrams_find_no_service() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, VAULT);
    scan(&pair.peer, PEER4, HOST4, 3);
    let said = daemon.verdict(SCANNED, "refused", Some("no-listener"));
    assert_eq!(dropped(&said), ("NO_SOCKET", true, 3));
    assert_eq!(said.evidence.failing[0].attempts, 3);
    golden("datagrams-find-no-service", &daemon.status().1);
}

#[test]
fn datagrams_find_no_room() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, VAULT);
    let service = udp_socket(&pair.host, at(HOST4, 32006));
    scan(&pair.peer, PEER4, HOST4, 2000);
    service.set_nonblocking(true).unwrap();
    let mut buffer = [0; 1024];
    let received = iter::from_fn(|| service.recv(&mut buffer).ok()).count() as u64;
    assert!(received > 0);
    let said = daemon.verdict(SCANNED, "degraded", Some("receive-buffer-full"));
    let (reason, is_received, lost) = dropped(&said);
    assert_eq!((reason, is_received), ("SOCKET_RCVBUFF", true));
    assert_eq!(lost + received, 2000);
    golden("datagrams-find-no-room", &daemon.status().1);
}

#[test]
fn firewall_drops_datagrams_on_the_way_out() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("output priority 0", "udp dport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, VAULT);
    let socket = udp_socket(&pair.host, at(HOST4, 0));
    for _ in 0..5 {
        let error = socket.send_to(b"anyone?", at(PEER4, 32006)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    let said = daemon.verdict(SCANS, "blocked", Some("local-firewall-out"));
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, 5));
    assert_eq!(said.evidence.failing[0].attempts, 5);
    golden("firewall-drops-datagrams-on-the-way-out", &daemon.status().1);
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

#[test]
fn every_dropped_packet_is_counted() {
    const MANY: usize = 100_000;
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "udp dport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, VAULT);
    scan(&pair.peer, PEER4, HOST4, MANY);
    let said = daemon.verdict(SCANNED, "blocked", Some("local-firewall-in"));
    let blocked = pair.host.nft_counter("blocked");
    assert_eq!(blocked, MANY as u64);
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, blocked));
    let labels = [("flow", "scan-32006"), ("side", "server"), ("reason", "NETFILTER_DROP")];
    let series = daemon.series("backupflow_flow_dropped_packets_total", &labels);
    assert_eq!(series.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [100_000.0]);
}
