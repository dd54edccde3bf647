//! Packets and bytes are those on the wire.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tests::{
    AGENT, CLUSTER, Daemon, Exchange, Flow, HOST4, HOST6, Namespace, Open, PEER4, PEER6, Pair,
    Wire, config, listen, segments,
};

const MEGABYTES_10: usize = 10 << 20;
const SOME: usize = 300_001;

const ITSELF: Flow<'_> = Flow("self-monitoring-59999", "server", "self");

/// Ethernet and IPv4.
const V4: u64 = 14 + 20;
/// Ethernet and IPv6.
const V6: u64 = 14 + 40;

fn exchange(
    client: &Namespace,
    server: &Namespace,
    at: SocketAddr,
    up: usize,
    down: usize,
) -> Exchange {
    let listener = listen(server, at);
    let open = Open::new(client, &listener, at);
    open.send(up, down);
    open.close()
}

#[test]
fn without_offloads_counts_are_those_of_the_interface() {
    for (role, address) in
        [("server", HOST4), ("client", PEER4), ("server", HOST6), ("client", PEER6)]
    {
        let pair = Pair::without_offloads();
        let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
        let before = pair.host.counted("eth0");
        let flow = if role == "server" {
            exchange(&pair.peer, &pair.host, SocketAddr::new(address, 50051), MEGABYTES_10, SOME);
            AGENT
        } else {
            exchange(&pair.host, &pair.peer, SocketAddr::new(address, 11113), MEGABYTES_10, SOME);
            CLUSTER
        };
        let counted = pair.host.counted("eth0").since(before);
        assert_eq!(counted.dropped, 0);
        assert!(counted.received.packets > 200, "{counted:?}");
        daemon.counts(flow, counted.received, counted.transmitted);
    }
}

#[test]
fn with_offloads_packets_are_the_segments_of_tcp() {
    let pair = Pair::new();
    for end in [&pair.host, &pair.peer] {
        end.ethtool("eth0", "tso on gso on gro on");
    }
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut agent = (Wire::default(), Wire::default());
    let mut cluster = (Wire::default(), Wire::default());
    for (host, peer, headers) in [(HOST4, PEER4, V4), (HOST6, PEER6, V6)] {
        let (up, down) = (MEGABYTES_10 as u64, SOME as u64);
        let at = SocketAddr::new(host, 50051);
        let sent = exchange(&pair.peer, &pair.host, at, MEGABYTES_10, SOME);
        agent = (
            agent.0.and(segments(sent.up, up, headers)),
            agent.1.and(segments(sent.down, down, headers)),
        );
        let at = SocketAddr::new(peer, 11113);
        let sent = exchange(&pair.host, &pair.peer, at, SOME, MEGABYTES_10);
        cluster = (
            cluster.0.and(segments(sent.down, up, headers)),
            cluster.1.and(segments(sent.up, down, headers)),
        );
        daemon.counts(AGENT, agent.0, agent.1);
        daemon.counts(CLUSTER, cluster.0, cluster.1);
    }
}

#[test]
fn traffic_of_the_host_with_itself_counts_once() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut expected = (Wire::default(), Wire::default());
    for (address, headers) in [(IpAddr::V4(Ipv4Addr::LOCALHOST), V4), (HOST4, V4), (HOST6, V6)] {
        let at = SocketAddr::new(address, 59999);
        let sent = exchange(&pair.host, &pair.host, at, MEGABYTES_10, SOME);
        expected = (
            expected.0.and(segments(sent.up, MEGABYTES_10 as u64, headers)),
            expected.1.and(segments(sent.down, SOME as u64, headers)),
        );
    }
    let report = daemon.counts(ITSELF, expected.0, expected.1);
    assert_eq!(ITSELF.find(&report).evidence.peers_seen, 3);
    assert_eq!(report.flow_map.entries, 3);
    assert_eq!(report.unexpected_total, 0);
}
