//! ICMP errors: what others say of the host's packets, and the host of theirs.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use tests::{
    AGENT, CLUSTER, Daemon, Expectation, Flow, HOST4, HOST6, Namespace, Open, PEER4, Pair, at,
    attempt, config, golden, listen, net, turned_away, udp_socket,
};

const SELF: Flow<'_> = Flow("self-monitoring-59999", "server", "self");

/// Long enough for a retransmission of a SYN.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A chain that counts what it does something to.
fn chain(hook: &str, what: &str, action: &str) -> String {
    format!(
        "counter hit {{}}\nchain c {{\ntype filter hook {hook} priority 0\n\
         {what} counter name hit {action}\n}}"
    )
}

/// The ICMP errors of the only failing peer: kind, whether received, how many.
fn errors(said: &Expectation) -> Vec<(&str, bool, u64)> {
    let [failing] = said.evidence.failing.as_slice() else {
        panic!("{said:#?}");
    };
    failing.icmp.iter().map(|errors| (&*errors.kind, errors.received, errors.packets)).collect()
}

#[test]
fn firewall_of_this_host_rejects() {
    let pair = Pair::new();
    let reject = "reject with icmp type admin-prohibited";
    pair.host.nft(&chain("input", "tcp dport 50051", reject));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST4, 50051));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "refused", Some("local-firewall-reject"));
    let rejected = pair.host.nft_counter("hit");
    assert!(rejected > 0);
    assert_eq!(errors(&said), [("prohibited", false, rejected)]);
    assert_eq!(said.evidence.dropped["NETFILTER_DROP"], rejected);
    assert_eq!(said.evidence.failing[0].attempts, rejected);
    let labels = [("flow", "agent-50051"), ("direction", "transmit"), ("kind", "prohibited")];
    let series = daemon.series("backupflow_flow_icmp_errors_total", &labels);
    let values: Vec<String> = series.iter().map(|(_, value)| value.to_string()).collect();
    assert_eq!(values, [rejected.to_string()]);
    golden("firewall-of-this-host-rejects", &daemon.status().1);
}

#[test]
fn firewall_of_this_host_rejects_ipv6() {
    let pair = Pair::new();
    pair.host.nftables("delete table ip6 quiet\n");
    pair.host.nft(&chain("input", "tcp dport 50051", "reject"));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST6, 50051));
    turned_away(&pair.peer, at(HOST6, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "refused", Some("local-firewall-reject"));
    let rejected = pair.host.nft_counter("hit");
    assert!(rejected > 0);
    assert_eq!(errors(&said), [("port-unreachable", false, rejected)]);
}

#[test]
fn firewall_of_this_host_rejects_on_the_way_out() {
    let pair = Pair::new();
    pair.host.nft(&chain("output", "tcp dport 11113", "reject"));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.peer, at(PEER4, 11113));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "refused", Some("local-firewall-reject"));
    let rejected = pair.host.nft_counter("hit");
    assert_eq!(said.evidence.dropped["NETFILTER_DROP"], rejected);
    assert_eq!(errors(&said), [("port-unreachable", false, rejected)]);
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
    golden("firewall-of-this-host-rejects-on-the-way-out", &daemon.status().1);
}

/// What is said after attempts that the peer's firewall answers in a way.
fn answered(scenario: &str, reject: &str, kind: &str, verdict: &str, cause: &str) {
    let pair = Pair::new();
    pair.peer.nft(&chain("input", "tcp dport 11113", reject));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, verdict, Some(cause));
    let rejected = pair.peer.nft_counter("hit");
    assert!(rejected > 0);
    assert_eq!(errors(&said), [(kind, true, rejected)]);
    assert_eq!(said.evidence.icmp.received[kind], rejected);
    assert_eq!(said.evidence.failing[0].attempts, rejected);
    golden(scenario, &daemon.status().1);
}

#[test]
fn firewall_of_the_peer_prohibits() {
    let reject = "reject with icmp type admin-prohibited";
    answered(
        "firewall-of-the-peer-prohibits",
        reject,
        "prohibited",
        "blocked",
        "remote-prohibited",
    );
}

#[test]
fn firewall_of_the_peer_says_that_the_port_is_unreachable() {
    let reject = "reject with icmp type port-unreachable";
    let scenario = "firewall-of-the-peer-says-that-the-port-is-unreachable";
    answered(scenario, reject, "port-unreachable", "refused", "remote-refused");
}

#[test]
fn errors_that_come_while_connect_holds_the_socket_always_tell_the_cause() {
    let pair = Pair::new();
    pair.peer.sysctl("net/ipv4/icmp_ratelimit", "0");
    let reject = "reject with icmp type host-prohibited";
    pair.peer.nft(&chain("input", "tcp dport 11113", reject));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    for _ in 0..4 {
        for _ in 0..20 {
            turned_away(&pair.host, at(PEER4, 11113), Duration::from_millis(20));
        }
        let said = daemon.verdict(CLUSTER, "blocked", Some("remote-prohibited"));
        assert_eq!(errors(&said), [("prohibited", true, pair.peer.nft_counter("hit"))]);
    }
    let _listener = listen(&pair.peer, at(PEER4, 11113));
    pair.peer.nft("");
    attempt(&pair.host, at(PEER4, 11113), PATIENCE).unwrap();
    daemon.verdict(CLUSTER, "ok", None);
}

const VAULT: &str = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                     sections = [\"udp_port_32006\"]\npeers.client = [\"10.20.0.0/24\"]\n\
                     peers.server = [\"10.99.0.0/24\"]\n";
const SCANS: Flow<'_> = Flow("scan-32006", "client", "client");

#[test]
fn datagrams_to_a_closed_port_of_the_peer_are_refused_until_one_is_answered() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, VAULT);
    let socket = udp_socket(&pair.host, at(HOST4, 0));
    for _ in 0..3 {
        socket.send_to(b"anyone?", at(PEER4, 32006)).unwrap();
    }
    let said = daemon.verdict(SCANS, "refused", Some("remote-refused"));
    assert_eq!(errors(&said), [("port-unreachable", true, 3)]);
    assert_eq!(said.evidence.failing[0].attempts, 3);
    golden("datagrams-to-a-closed-port-of-the-peer", &daemon.status().1);

    let service = udp_socket(&pair.peer, at(PEER4, 32006));
    socket.send_to(b"anyone?", at(PEER4, 32006)).unwrap();
    let (_, from) = service.recv_from(&mut [0; 16]).unwrap();
    service.send_to(b"here", from).unwrap();
    daemon.verdict(SCANS, "ok", None);
}

#[test]
fn errors_inside_the_host_count_once() {
    let pair = Pair::new();
    pair.host.nft(&chain("input", "tcp dport 59999", "reject"));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let own = at(IpAddr::V4(Ipv4Addr::LOCALHOST), 59999);
    let _listener = listen(&pair.host, own);
    turned_away(&pair.host, own, PATIENCE);
    let said = daemon.verdict(SELF, "refused", Some("local-firewall-reject"));
    let rejected = pair.host.nft_counter("hit");
    assert!(rejected > 0);
    assert_eq!(errors(&said), [("port-unreachable", false, rejected)]);
}

#[test]
fn errors_that_the_host_only_passes_on_are_not_its_own() {
    let pair = Pair::new();
    let container = Namespace::new("container");
    let (outer, inner) = ([2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 8]);
    net::join(&pair.host, "inside", outer, &container, "eth0", inner);
    let (gateway, address) = (IpAddr::from([10, 30, 0, 1]), IpAddr::from([10, 30, 0, 2]));
    pair.host.ip(&format!(
        "address add 10.30.0.1/24 dev inside\n{}",
        net::neighbours("inside", inner, &[address])
    ));
    container.ip(&format!(
        "address add 10.30.0.2/24 dev eth0\nroute add default via 10.30.0.1\n{}",
        net::neighbours("eth0", outer, &[gateway])
    ));
    pair.peer.ip("route add 10.30.0.0/24 via 10.20.0.1");
    pair.host.sysctl("net/ipv4/ip_forward", "1");
    let rule = "ip saddr 10.30.0.2 tcp dport 11113";
    pair.peer.nft(&chain("input", rule, "reject with icmp type admin-prohibited"));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    Open::new(&pair.host, &listener, at(PEER4, 11113)).close();
    daemon.verdict(CLUSTER, "ok", None);
    turned_away(&container, at(PEER4, 11113), Duration::from_millis(500));
    let report = daemon.next_report();
    assert!(pair.peer.nft_counter("hit") > 0);
    let icmp = &CLUSTER.find(&report).evidence.icmp;
    assert_eq!((icmp.received.len(), icmp.transmitted.len()), (0, 0), "{icmp:?}");
}

#[test]
fn errors_about_a_peer_are_no_errors_of_the_host_with_itself() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    // The host talks to itself on the same port, by the address that it talks to the peer with.
    let own = listen(&pair.host, at(HOST4, 11113));
    Open::new(&pair.host, &own, at(HOST4, 11113)).close();
    let listener = listen(&pair.peer, at(PEER4, 11113));
    Open::new(&pair.host, &listener, at(PEER4, 11113)).close();
    daemon.verdict(CLUSTER, "ok", None);
    let reject = "reject with icmp type admin-prohibited";
    pair.host.nft(&chain("output", "ip daddr 10.20.0.2 tcp dport 11113", reject));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "refused", Some("local-firewall-reject"));
    assert_eq!(errors(&said), [("prohibited", false, pair.host.nft_counter("hit"))]);
}
