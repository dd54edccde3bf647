//! A port number alone does not say who serves.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Exchange, Flow, HOST4, HOST6, Namespace, Open, PEER4, PEER6,
    Pair, Wire, attempt, config, connect_from, listen, segments, turned_away,
};

const NOTHING: (Wire, Wire) = (Wire::new(0, 0), Wire::new(0, 0));
const V4: u64 = 14 + 20;
const V6: u64 = 14 + 40;

/// What a part of an open connection is on the wire: `payload` bytes in so many segments.
fn part(segments: u64, payload: u64, headers: u64) -> Wire {
    Wire::new(segments, payload + segments * (headers + 32))
}

/// A connection whose client has a port of our choice.
fn open_from(client: &Namespace, from: SocketAddr, listener: &TcpListener) -> Open {
    Open::of(connect_from(client, from, listener.local_addr().unwrap()), listener)
}

#[test]
fn ephemeral_port_of_the_host_is_no_service() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(PEER4, 443);
    let open = open_from(&pair.host, SocketAddr::new(HOST4, 50051), &listen(&pair.peer, at));
    open.send(100_000, 100_000);
    open.close();
    nothing_seen(&daemon);
}

#[test]
fn ephemeral_port_of_the_peer_is_no_service() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 8443);
    let open = open_from(&pair.peer, SocketAddr::new(PEER4, 50051), &listen(&pair.host, at));
    open.send(100_000, 100_000);
    open.close();
    nothing_seen(&daemon);
}

fn nothing_seen(daemon: &Daemon<'_>) {
    let report = daemon.next_report();
    assert_eq!(AGENT.counted(&report), NOTHING);
    assert_eq!(report.flow_map.entries, 0);
    assert_eq!(report.unexpected_total, 0);
    let labels = [("flow", "agent-50051"), ("side", "server"), ("layer", "wire")];
    for direction in ["receive", "transmit"] {
        let metric = format!("backupflow_flow_{direction}_packets_total");
        let values: Vec<f64> =
            daemon.series(&metric, &labels).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [0.0, 0.0]);
    }
    let entries = daemon.series("backupflow_map_entries", &[("map", "flows")]);
    assert_eq!(entries.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), [0.0]);
}

#[test]
fn both_ports_documented_is_the_one_that_was_asked_for() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(PEER4, 11113);
    let open = open_from(&pair.host, SocketAddr::new(HOST4, 50051), &listen(&pair.peer, at));
    open.send(200_000, 100_000);
    let sent = open.close();
    let report =
        daemon.counts(CLUSTER, segments(sent.down, 100_000, V4), segments(sent.up, 200_000, V4));
    assert_eq!(AGENT.counted(&report), NOTHING);
    assert_eq!(report.flow_map.entries, 1);
}

#[test]
fn both_ports_documented_after_the_port_was_served() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let served = {
        let at = SocketAddr::new(HOST4, 50051);
        let open = Open::new(&pair.peer, &listen(&pair.host, at), at);
        open.send(1000, 1000);
        open.close()
    };
    let agent = (segments(served.up, 1000, V4), segments(served.down, 1000, V4));
    daemon.counts(AGENT, agent.0, agent.1);

    // The agent is gone; its port is the host's end of another connection with the same peer.
    let at = SocketAddr::new(PEER4, 11113);
    let open = open_from(&pair.host, SocketAddr::new(HOST4, 50051), &listen(&pair.peer, at));
    open.send(200_000, 100_000);
    let sent = open.close();
    daemon.counts(CLUSTER, segments(sent.down, 100_000, V4), segments(sent.up, 200_000, V4));
    daemon.counts(AGENT, agent.0, agent.1);
}

#[test]
fn connection_that_was_open_before_is_placed() {
    let pair = Pair::new();
    let listeners: Vec<(bool, IpAddr, TcpListener, u64)> =
        [(true, HOST4, V4), (true, HOST6, V6), (false, PEER4, V4), (false, PEER6, V6)]
            .map(|(served, address, headers)| {
                let (namespace, port) =
                    if served { (&pair.host, 50051) } else { (&pair.peer, 11113) };
                let listener = listen(namespace, SocketAddr::new(address, port));
                (served, address, listener, headers)
            })
            .into();
    let opened: Vec<(bool, u64, Open, Exchange)> = listeners
        .iter()
        .map(|(served, _, listener, headers)| {
            let namespace = if *served { &pair.peer } else { &pair.host };
            let open = Open::new(namespace, listener, listener.local_addr().unwrap());
            open.send(5000, 5000);
            let before = open.segments();
            (*served, *headers, open, before)
        })
        .collect();

    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut agent = NOTHING;
    let mut cluster = NOTHING;
    for (served, headers, open, before) in opened {
        open.send(300_000, 200_000);
        let after = open.close();
        let up = part(after.up - before.up, 300_000, headers);
        let down = part(after.down - before.down, 200_000, headers);
        if served {
            agent = (agent.0.and(up), agent.1.and(down));
        } else {
            cluster = (cluster.0.and(down), cluster.1.and(up));
        }
    }
    daemon.counts(AGENT, agent.0, agent.1);
    let report = daemon.counts(CLUSTER, cluster.0, cluster.1);
    assert_eq!(report.lost(), []);
    assert_eq!(report.flow_map.entries, 4);
    daemon.verdict(AGENT, "ok", None);
    daemon.verdict(CLUSTER, "ok", None);
}

#[test]
fn connection_on_an_ipv6_socket_that_was_open_before_is_placed() {
    let pair = Pair::new();
    let any = SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 50051);
    let listener = listen(&pair.host, any);
    let client = attempt(&pair.peer, SocketAddr::new(HOST4, 50051), DEADLINE).unwrap();
    let (server, _) = listener.accept().unwrap();
    let open = Open { client, server };
    open.send(5000, 5000);
    let before = open.segments();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    open.send(100_000, 1000);
    let after = open.close();
    let report = daemon.counts(
        AGENT,
        part(after.up - before.up, 100_000, V4),
        part(after.down - before.down, 1000, V4),
    );
    assert_eq!(report.lost(), []);
}

#[test]
fn listener_that_came_later_is_the_server() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 50051);
    turned_away(&pair.peer, at, DEADLINE);
    let refused = (Wire::new(1, V4 + 40), Wire::new(1, V4 + 20));
    daemon.counts(AGENT, refused.0, refused.1);

    let listener = listen(&pair.host, at);
    let open = Open::new(&pair.peer, &listener, at);
    open.send(300_000, 200_000);
    let sent = open.close();
    daemon.counts(
        AGENT,
        refused.0.and(segments(sent.up, 300_000, V4)),
        refused.1.and(segments(sent.down, 200_000, V4)),
    );
    daemon.verdict(AGENT, "ok", None);
}

#[test]
fn rst_of_a_closed_port_belongs_to_the_flow() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let patience = Duration::from_secs(5);
    for _ in 0..3 {
        turned_away(&pair.peer, SocketAddr::new(HOST4, 50051), patience);
        turned_away(&pair.host, SocketAddr::new(PEER4, 11113), patience);
    }
    let (asked, refused) = (Wire::new(3, 3 * (V4 + 40)), Wire::new(3, 3 * (V4 + 20)));
    daemon.counts(AGENT, asked, refused);
    let report = daemon.counts(CLUSTER, refused, asked);
    let of = |flow: Flow<'_>| {
        let peer = flow.find(&report).evidence.peers[0].clone();
        (peer.received.syn, peer.received.rst, peer.transmitted.syn, peer.transmitted.rst)
    };
    assert_eq!(of(AGENT), (3, 0, 0, 3));
    assert_eq!(of(CLUSTER), (0, 3, 3, 0));
}
