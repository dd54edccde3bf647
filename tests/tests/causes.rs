//! What stops a flow, named from the host that it is stopped at.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, TcpListener},
    time::Duration,
};

use nix::sys::socket::Backlog;
use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Difference, Expectation, Flow, ForeignProgram, HOST4, Open,
    PEER4, Pair, at, attempt, attempt_from, config, golden, listen, turned_away,
};

/// Long enough for a retransmission of a SYN.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// What is said after a peer tried in vain to reach the agent, which listens.
pub(crate) fn inbound(pair: &Pair, scenario: &str, verdict: &str, cause: &str) -> Expectation {
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.host, at(HOST4, 50051));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, verdict, Some(cause));
    drop(listener);
    assert_eq!(said.evidence.failing_total, 1, "{said:#?}");
    golden(scenario, &daemon.status().1);
    said
}

/// What is said after the host tried in vain to reach the cluster, which listens.
pub(crate) fn outbound(pair: &Pair, scenario: &str, verdict: &str, cause: &str) -> Expectation {
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, verdict, Some(cause));
    drop(listener);
    assert_eq!(said.evidence.failing_total, 1, "{said:#?}");
    golden(scenario, &daemon.status().1);
    said
}

/// The only reason that packets of the flow were dropped for, the direction and how many.
pub(crate) fn dropped(said: &Expectation) -> (&str, bool, u64) {
    let [failing] = said.evidence.failing.as_slice() else {
        panic!("{said:#?}");
    };
    let [drop] = failing.dropped.as_slice() else {
        panic!("{said:#?}");
    };
    (&drop.reason, drop.received, drop.packets)
}

pub(crate) fn drop_at(hook: &str, rule: &str) -> String {
    format!("counter blocked {{}}\nchain c {{\ntype filter hook {hook}\n{rule}\n}}")
}

#[test]
fn firewall_drops_on_the_way_in_before_routing() {
    let pair = Pair::new();
    let rule = "tcp dport 50051 counter name blocked drop";
    pair.host.nft(&drop_at("prerouting priority -300", rule));
    let said = inbound(
        &pair,
        "firewall-drops-on-the-way-in-before-routing",
        "blocked",
        "local-firewall-in",
    );
    let blocked = pair.host.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, blocked));
    assert_eq!(said.evidence.difference, Some(Difference { received: blocked, transmitted: 0 }));
}

#[test]
fn firewall_drops_at_the_device() {
    let pair = Pair::new();
    pair.host.nftables(
        "table netdev t {\nchain c {\ntype filter hook ingress device eth0 priority 0\n\
         tcp dport 50051 drop\n}\n}\n",
    );
    let said = inbound(&pair, "firewall-drops-at-the-device", "blocked", "local-firewall-in");
    assert_eq!(dropped(&said).0, "NETFILTER_DROP");
}

#[test]
fn firewall_drops_on_the_way_out() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 counter name blocked drop";
    pair.host.nft(&drop_at("output priority 0", rule));
    let said = outbound(&pair, "firewall-drops-on-the-way-out", "blocked", "local-firewall-out");
    let blocked = pair.host.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, blocked));
    // What the firewall drops there was not sent by a socket either.
    assert_eq!(said.evidence.difference, Some(Difference { received: 0, transmitted: 0 }));
    // Nothing of it was on the wire.
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
    assert_eq!(said.evidence.failing[0].attempts, blocked);
}

#[test]
fn firewall_drops_after_routing() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 counter name blocked drop";
    pair.host.nft(&drop_at("postrouting priority 0", rule));
    let said = outbound(&pair, "firewall-drops-after-routing", "blocked", "local-firewall-out");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, pair.host.nft_counter("blocked")));
}

#[test]
fn firewall_rejects_with_a_reset() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "tcp dport 50051 reject with tcp reset"));
    let said = inbound(&pair, "firewall-rejects-with-a-reset", "refused", "local-firewall-reject");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, 1));
}

#[test]
fn firewall_of_the_old_kind_drops() {
    let pair = Pair::new();
    let rule = ["-A", "INPUT", "-p", "tcp", "--dport", "50051", "-j", "DROP"];
    pair.host.run("iptables-legacy", &rule);
    let said = inbound(&pair, "firewall-of-the-old-kind-drops", "blocked", "local-firewall-in");
    assert_eq!((dropped(&said).0, dropped(&said).1), ("NETFILTER_DROP", true));
}

#[test]
fn another_program_at_the_device_drops() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.host, at(HOST4, 50051));
    let other = ForeignProgram::dropping(&pair.host, "eth0");
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", Some("tc-drop"));
    assert_eq!(dropped(&said), ("TC_INGRESS", true, other.packets()));
    golden("another-program-at-the-device-drops", &daemon.status().1);
    drop(listener);
}

#[test]
fn no_neighbour_answers() {
    let pair = Pair::new();
    pair.host.ip("neigh flush dev eth0\nneigh del 10.20.0.2 dev eth0");
    pair.peer.ip("link set eth0 arp off");
    let said = outbound(&pair, "no-neighbour-answers", "blocked", "neighbor-unreachable");
    let (reason, _, lost) = dropped(&said);
    assert_eq!(reason, "NEIGH_FAILED");
    assert_eq!(said.evidence.difference, Some(Difference { received: 0, transmitted: lost }));
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

#[test]
fn reverse_path_filter_drops() {
    let pair = Pair::new();
    pair.host.sysctl("net/ipv4/conf/eth0/rp_filter", "1");
    // The way back to the peer is another device.
    pair.host.ip("link add other type bridge\nlink set other up\nroute add 10.20.0.2/32 dev other");
    let said = inbound(&pair, "reverse-path-filter-drops", "blocked", "rp-filter");
    assert_eq!(dropped(&said).0, "IP_RPFILTER");
}

#[test]
fn router_says_unreachable() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 reject with icmp type host-unreachable";
    pair.peer.nft(&drop_at("input priority 0", rule));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let to = at(PEER4, 11113);
    let error = attempt_from(&pair.host, HOST4, to, PATIENCE * 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    let said = daemon.verdict(CLUSTER, "blocked", Some("remote-unreachable"));
    assert_eq!(said.evidence.outcomes["unreachable"], 1);
    golden("router-says-unreachable", &daemon.status().1);
    assert_eq!(said.evidence.failing[0].dropped.len(), 0);
}

#[test]
fn service_listens_on_another_address() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _elsewhere = listen(&pair.host, at(IpAddr::V4(Ipv4Addr::LOCALHOST), 50051));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "refused", Some("wrong-bind"));
    assert_eq!(dropped(&said), ("NO_SOCKET", true, 1));
    golden("service-listens-on-another-address", &daemon.status().1);
}

#[test]
fn service_does_not_accept() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.host, at(HOST4, 50051));
    shrink_queue(&listener, 1);
    let to = at(HOST4, 50051);
    // One more than the queue's limit waits in it.
    let _waiting: Vec<_> = (0..2).map(|_| attempt(&pair.peer, to, DEADLINE).unwrap()).collect();
    turned_away(&pair.peer, to, PATIENCE * 3);
    let said = daemon.verdict(AGENT, "blocked", Some("accept-queue-full"));
    assert_eq!(said.evidence.failing[0].dropped.len(), 0);
    assert_eq!(said.evidence.outcomes["established"], 2);
    golden("service-does-not-accept", &daemon.status().1);
}

/// Lets so many connections and one more wait.
fn shrink_queue(listener: &TcpListener, connections: i32) {
    nix::sys::socket::listen(listener, Backlog::new(connections).unwrap()).unwrap();
}

#[test]
fn one_half_of_a_product_fails_alone() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.host.nft(&drop_at("input priority 0", "tcp dport 50051 drop"));
    let (agent, cluster) =
        (listen(&pair.host, at(HOST4, 50051)), listen(&pair.peer, at(PEER4, 11113)));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    Open::new(&pair.host, &cluster, at(PEER4, 11113)).close();
    daemon.verdict(CLUSTER, "ok", None);
    daemon.verdict(AGENT, "blocked", Some("local-firewall-in"));
    let report = daemon.report();
    let fails = |verdict: &str| ["blocked", "refused", "missing", "degraded"].contains(&verdict);
    let failing = report.expectations.iter().filter(|expectation| fails(&expectation.verdict));
    assert_eq!(failing.count(), 1);
    drop(agent);
}

#[test]
fn client_still_uses_the_port_without_encryption() {
    let pair = Pair::new();
    let config = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\noptions = [\"ssl\"]\n\
                  peers.client = [\"10.20.0.0/24\"]\n";
    let daemon = Daemon::start(&pair.host, config);
    let to = at(HOST4, 32004);
    let sent = Open::new(&pair.peer, &listen(&pair.host, to), to).close();
    let report = daemon.settles("the stranger", |report| match report.unexpected.as_slice() {
        [stranger] if stranger.transmitted.packets == sent.down => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let stranger = &report.unexpected[0];
    assert_eq!((&*stranger.flow, &*stranger.cause), ("backup-32004", "plaintext-port"));
    golden("client-still-uses-the-port-without-encryption", &daemon.status().1);
    daemon.verdict(Flow("backup-ssl-32007", "server", "client"), "unknown", None);
}

#[test]
fn peer_still_uses_the_documented_port() {
    let pair = Pair::new();
    let config = config::SQL_SERVER.to_owned() + "\n[system.ports]\n\"agent-50051\" = 50061\n";
    let daemon = Daemon::start(&pair.host, &config);
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let report = daemon.settles("the stranger", |report| match report.unexpected.as_slice() {
        [stranger] if (stranger.received.packets, stranger.transmitted.packets) == (1, 1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let stranger = &report.unexpected[0];
    assert_eq!((&*stranger.flow, &*stranger.cause), ("agent-50051", "port-moved"));
    assert_eq!((&stranger.peer, stranger.port), (&PEER4.to_string(), 50051));
    golden("peer-still-uses-the-documented-port", &daemon.status().1);
    daemon.verdict(AGENT, "idle", None);
}

#[test]
fn flow_that_works_again_is_ok_at_once() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("output priority 0", "tcp dport 11113 drop"));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    daemon.verdict(CLUSTER, "blocked", Some("local-firewall-out"));
    pair.host.nft("");
    let open = Open::new(&pair.host, &listener, at(PEER4, 11113));
    open.send(1000, 1000);
    daemon.verdict(CLUSTER, "ok", None);
    open.close();
}

/// What is said of an expectation of the client's side that nobody tried, without each hook.
const CLIENT_WITHOUT: &[(&str, &str)] = &[
    ("socket-ingress", "idle"),
    ("socket-egress", "unknown"),
    ("connection", "idle"),
    ("retransmit", "idle"),
    ("drop", "unknown"),
    ("connect", "unknown"),
];

#[test]
fn without_a_hook_exactly_what_needs_it_is_unknown() {
    // What cannot be ruled out without it: attempts of this host that it stops itself.
    for &(hook, client) in CLIENT_WITHOUT {
        let pair = Pair::new();
        let config = format!("{}\n[kernel]\ndisable = [\"{hook}\"]\n", config::SQL_SERVER);
        let daemon = Daemon::start(&pair.host, &config);
        let report = daemon.next_report();
        for expectation in &report.expectations {
            let expected = if expectation.side == "client" { client } else { "idle" };
            assert_eq!(expectation.verdict, expected, "{hook}: {expectation:#?}");
        }
        let attached = |hook: &str| daemon.series("backupflow_hook_attached", &[("hook", hook)]);
        for &(other, _) in CLIENT_WITHOUT {
            let expected = if other == hook { 0.0 } else { 1.0 };
            assert_eq!(attached(other).first().map(|(_, value)| *value), Some(expected), "{other}");
        }
        // What is seen on the wire is said all the same.
        let open = Open::new(&pair.host, &listen(&pair.peer, at(PEER4, 11113)), at(PEER4, 11113));
        open.close();
        daemon.verdict(CLUSTER, "ok", None);
    }
}
