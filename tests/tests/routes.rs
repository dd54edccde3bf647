//! Attempts without a route, and the route as evidence.

use std::{io::ErrorKind, time::Duration};

use tests::{
    AGENT, CLUSTER, Daemon, Expectation, HOST4, Open, PEER4, PEER6, Pair, at, attempt, config,
    golden, listen, turned_away,
};

const PATIENCE: Duration = Duration::from_secs(4);

/// Why the attempts of the only failing peer were not sent, how many, and why there is no route.
fn not_sent(said: &Expectation) -> (&str, u64, Option<&str>) {
    let [failing] = said.evidence.failing.as_slice() else {
        panic!("{said:#?}");
    };
    let error = failing.error.as_deref().unwrap_or("none");
    (error, failing.attempts, failing.route.as_ref().unwrap().error.as_deref())
}

#[test]
fn no_route_to_the_peer() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.host.ip("route del 10.20.0.0/24");
    for _ in 0..3 {
        let error = attempt(&pair.host, at(PEER4, 11113), PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    }
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-route"));
    let why = "network is unreachable";
    assert_eq!(not_sent(&said), (why, 3, Some(why)));
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
    golden("no-route-to-the-peer", &daemon.status().1);

    // It stands after the route is back, until an attempt succeeds.
    pair.host.ip("route add 10.20.0.0/24 dev eth0");
    daemon.settles("the route", |report| {
        let said = CLUSTER.find(report);
        match said.evidence.failing.as_slice() {
            [failing] if failing.route.as_ref().is_some_and(|route| route.error.is_none()) => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });
    daemon.verdict(CLUSTER, "blocked", Some("no-route"));
    let listener = listen(&pair.peer, at(PEER4, 11113));
    Open::new(&pair.host, &listener, at(PEER4, 11113)).close();
    daemon.verdict(CLUSTER, "ok", None);
}

#[test]
fn no_route_to_the_peer_by_ipv6() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.host.ip("route del fd00:20::/64 dev eth0");
    turned_away(&pair.host, at(PEER6, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-route"));
    let why = "network is unreachable";
    assert_eq!(not_sent(&said), (why, 1, Some(why)));
}

#[test]
fn route_of_a_kind_that_leads_nowhere() {
    for (kind, why) in [
        ("blackhole", "a blackhole route takes it"),
        ("prohibit", "a route prohibits it"),
        ("unreachable", "host is unreachable"),
    ] {
        let pair = Pair::new();
        let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
        pair.host.ip(&format!("route add {kind} 10.20.0.2/32"));
        turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
        let said = daemon.verdict(CLUSTER, "blocked", Some("no-route"));
        assert_eq!(not_sent(&said), (why, 1, Some(why)), "{kind}");
        if kind == "blackhole" {
            golden("blackhole-route-to-the-peer", &daemon.status().1);
        }
    }
}

#[test]
fn no_route_back_to_the_peer() {
    let pair = Pair::new();
    pair.host.sysctl("net/ipv4/conf/all/rp_filter", "0");
    pair.host.sysctl("net/ipv4/conf/eth0/rp_filter", "0");
    pair.host.ip("route del 10.20.0.0/24");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST4, 50051));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", Some("no-route"));
    let route = said.evidence.failing[0].route.as_ref().unwrap();
    assert_eq!(route.error.as_deref(), Some("network is unreachable"));
    golden("no-route-back-to-the-peer", &daemon.status().1);
}

#[test]
fn no_local_port_is_left() {
    let pair = Pair::new();
    pair.host.sysctl("net/ipv4/ip_local_port_range", "40000 40001");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    let to = at(PEER4, 11113);
    let open = [0, 1].map(|_| Open::new(&pair.host, &listener, to));
    daemon.verdict(CLUSTER, "ok", None);
    let error = attempt(&pair.host, to, PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let said = daemon.verdict(CLUSTER, "blocked", Some("undetermined"));
    assert_eq!(not_sent(&said), ("no local port or address is left", 1, None));
    drop(open);
}

#[test]
fn route_over_a_gateway_is_named() {
    let pair = Pair::new();
    pair.host.ip("route add 10.20.0.2/32 via 10.99.0.2");
    pair.peer.nft("chain c {\ntype filter hook input priority 0\ntcp dport 11113 drop\n}");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    daemon.verdict(CLUSTER, "blocked", Some("no-answer"));
    let (_, status) = daemon.status();
    assert!(status.contains("route: by eth0 over 10.99.0.2"), "{status}");
}

#[test]
fn attempts_that_begin_are_no_failures() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    for _ in 0..200 {
        Open::new(&pair.host, &listener, at(PEER4, 11113)).close();
    }
    daemon.verdict(CLUSTER, "ok", None);
    // Without a route now, those that began before are not failures of it.
    pair.host.ip("route del 10.20.0.0/24");
    daemon.verdict(CLUSTER, "ok", None);
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-route"));
    assert_eq!(said.evidence.failing[0].attempts, 1);
}

#[test]
fn without_the_hook_attempts_without_a_route_are_unknown() {
    let pair = Pair::new();
    let config = format!("{}\n[kernel]\ndisable = [\"connect\"]\n", config::SQL_SERVER);
    let daemon = Daemon::start(&pair.host, &config);
    pair.host.ip("route del 10.20.0.0/24");
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "unknown", None);
    let reason = "attempts that this host stops itself go unseen without connect";
    assert_eq!(said.evidence.reason.as_deref(), Some(reason));
}
