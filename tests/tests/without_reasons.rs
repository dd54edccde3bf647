//! What is said on kernels that do not tell why they drop a packet: no cause, rather than a wrong one.
//!
//! `cargo xtask vmtest` runs these tests on such a kernel.

use std::{io::Write as _, net::SocketAddr, time::Duration};

use tests::{
    AGENT, CLUSTER, Daemon, Flow, HOST4, PEER4, Pair, Routed, attempt, config, listen, turned_away,
    udp_socket,
};

use crate::{
    answers::exchange,
    between::{Talk, forget_soon, stuck},
    causes::{drop_at, dropped},
    lost_datagrams::{SCANS, VAULT},
};

const SCAN: Flow<'_> = Flow("scan-32006", "server", "client");
const UNDETERMINED: Option<&str> = Some("undetermined");
const PATIENCE: Duration = Duration::from_millis(1500);

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn firewall_on_the_way_in_is_no_cause() {
    let pair = Pair::new();
    let rule = "tcp dport 50051 counter name blocked drop";
    pair.host.nft(&drop_at("input priority 0", rule));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 50051);
    let _listener = listen(&pair.host, at);
    turned_away(&pair.peer, at, PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", UNDETERMINED);
    assert_eq!(dropped(&said), ("unknown", true, pair.host.nft_counter("blocked")));
    // It works again at once.
    pair.host.nft("");
    drop(attempt(&pair.peer, at, PATIENCE).unwrap());
    daemon.verdict(AGENT, "ok", None);
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn firewall_on_the_way_out_is_no_cause() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 counter name blocked drop";
    pair.host.nft(&drop_at("output priority 0", rule));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(PEER4, 11113);
    let _listener = listen(&pair.peer, at);
    turned_away(&pair.host, at, PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", UNDETERMINED);
    assert_eq!(dropped(&said), ("unknown", false, pair.host.nft_counter("blocked")));
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn missing_listener_is_no_cause_here_and_one_at_the_peer() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.peer, SocketAddr::new(HOST4, 50051), PATIENCE);
    turned_away(&pair.host, SocketAddr::new(PEER4, 11113), PATIENCE);
    daemon.verdict(AGENT, "refused", UNDETERMINED);
    daemon.verdict(CLUSTER, "refused", Some("remote-refused"));
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn datagrams_that_the_firewall_drops_leave_the_flow_unknown() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "udp dport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
    let socket = udp_socket(&pair.peer, SocketAddr::new(PEER4, 40000));
    for _ in 0..5 {
        socket.send_to(&[1; 100], SocketAddr::new(HOST4, 32006)).unwrap();
    }
    let said = daemon.verdict(SCAN, "unknown", None);
    assert_eq!(pair.host.nft_counter("blocked"), 5);
    assert_eq!(said.evidence.failing_total, 0, "{said:#?}");
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn datagrams_in_answer_that_the_firewall_drops_leave_the_flow_unknown() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "udp sport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, VAULT);
    assert_eq!(exchange(&pair.host, HOST4, &pair.peer, PEER4), 3);
    let said = daemon.verdict(SCANS, "unknown", None);
    assert_eq!(pair.host.nft_counter("blocked"), 3);
    assert_eq!(said.evidence.failing_total, 0, "{said:#?}");
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn answers_that_no_neighbour_takes_turn_nobody_down() {
    let pair = Pair::new();
    pair.peer.nftables("table arp t {\nchain c {\ntype filter hook input priority 0\ndrop\n}\n}\n");
    pair.host.ip("neigh flush dev eth0\nneigh del 10.20.0.2 dev eth0");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 50051);
    let _listener = listen(&pair.host, at);
    turned_away(&pair.peer, at, 3 * PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", UNDETERMINED);
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

#[test]
#[ignore = "takes Linux before 5.17: see `cargo xtask vmtest`"]
fn session_that_the_firewall_forgets_is_degraded_without_a_cause() {
    let net = Routed::new();
    forget_soon(&net.host, "input", false);
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let agent = Talk::with_agent(&net, 30_001);
    agent.falls_silent();
    (&agent.peer).write_all(&[2; 100]).unwrap();
    let (_, session) = stuck(&daemon, AGENT, "undetermined");
    assert!(session.dropped_here, "{session:?}");
}
