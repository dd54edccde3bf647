//! What stops a flow, named from the host that it is stopped at.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tests::{
    Daemon, Expectation, Flow, HOST4, Open, PEER4, Pair, attempt_from, config, listen, turned_away,
};

const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");
const CLUSTER: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");

/// Long enough for a retransmission of a SYN.
const PATIENCE: Duration = Duration::from_millis(1500);

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// What is said after a peer tried in vain to reach the agent, which listens.
fn inbound(pair: &Pair, verdict: &str, cause: &str) -> Expectation {
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.host, at(HOST4, 50051));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, verdict, Some(cause));
    drop(listener);
    assert_eq!(said.evidence.failing_total, 1, "{said:#?}");
    said
}

/// What is said after the host tried in vain to reach the cluster, which listens.
fn outbound(pair: &Pair, verdict: &str, cause: &str) -> Expectation {
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, verdict, Some(cause));
    drop(listener);
    assert_eq!(said.evidence.failing_total, 1, "{said:#?}");
    said
}

/// The only reason that packets of the flow were dropped for, the direction and how many.
fn dropped(said: &Expectation) -> (&str, bool, u64) {
    let [failing] = said.evidence.failing.as_slice() else {
        panic!("{said:#?}");
    };
    let [drop] = failing.dropped.as_slice() else {
        panic!("{said:#?}");
    };
    (&drop.reason, drop.received, drop.packets)
}

fn drop_at(hook: &str, rule: &str) -> String {
    format!("counter blocked {{}}\nchain c {{\ntype filter hook {hook}\n{rule}\n}}")
}

#[test]
fn firewall_drops_on_the_way_in_before_routing() {
    let pair = Pair::new();
    let rule = "tcp dport 50051 counter name blocked drop";
    pair.host.nft(&drop_at("prerouting priority -300", rule));
    let said = inbound(&pair, "blocked", "local-firewall-in");
    let blocked = pair.host.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, blocked));
}

#[test]
fn firewall_drops_at_the_device() {
    let pair = Pair::new();
    pair.host.nftables(
        "table netdev t {\nchain c {\ntype filter hook ingress device eth0 priority 0\n\
         tcp dport 50051 drop\n}\n}\n",
    );
    let said = inbound(&pair, "blocked", "local-firewall-in");
    assert_eq!(dropped(&said).0, "NETFILTER_DROP");
}

#[test]
fn firewall_drops_on_the_way_out() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 counter name blocked drop";
    pair.host.nft(&drop_at("output priority 0", rule));
    let said = outbound(&pair, "blocked", "local-firewall-out");
    let blocked = pair.host.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, blocked));
    // Nothing of it was on the wire.
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
    assert_eq!(said.evidence.failing[0].attempts, blocked);
}

#[test]
fn firewall_drops_after_routing() {
    let pair = Pair::new();
    let rule = "tcp dport 11113 counter name blocked drop";
    pair.host.nft(&drop_at("postrouting priority 0", rule));
    let said = outbound(&pair, "blocked", "local-firewall-out");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, pair.host.nft_counter("blocked")));
}

#[test]
fn firewall_rejects_with_a_reset() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "tcp dport 50051 reject with tcp reset"));
    let said = inbound(&pair, "refused", "local-firewall-reject");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, 1));
}

#[test]
fn no_neighbour_answers() {
    let pair = Pair::new();
    pair.host.ip("neigh flush dev eth0\nneigh del 10.20.0.2 dev eth0");
    pair.peer.ip("link set eth0 arp off");
    let said = outbound(&pair, "blocked", "neighbor-unreachable");
    assert_eq!(dropped(&said).0, "NEIGH_FAILED");
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

#[test]
fn reverse_path_filter_drops() {
    let pair = Pair::new();
    pair.host.sysctl("net/ipv4/conf/eth0/rp_filter", "1");
    // The way back to the peer is another device.
    pair.host.ip("link add other type bridge\nlink set other up\nroute add 10.20.0.2/32 dev other");
    let said = inbound(&pair, "blocked", "rp-filter");
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
    assert_eq!(said.evidence.failing[0].dropped.len(), 0);
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
