//! What stops the answers, named from the host that they are stopped at.

use std::net::IpAddr;

use tests::{
    CLUSTER, Daemon, ForeignProgram, HOST4, Namespace, PEER4, Pair, at, config, golden, listen,
    turned_away, udp_socket,
};

use crate::{
    causes::{PATIENCE, drop_at, dropped, inbound, outbound},
    lost_datagrams::{SCANNED, SCANS, VAULT},
};

#[test]
fn firewall_drops_the_answers_on_the_way_out() {
    let pair = Pair::new();
    let rule = "tcp sport 50051 counter name blocked drop";
    pair.host.nft(&drop_at("output priority 0", rule));
    let said = inbound(
        &pair,
        "firewall-drops-the-answers-on-the-way-out",
        "blocked",
        "local-firewall-out",
    );
    let (reason, received, packets) = dropped(&said);
    assert_eq!((reason, received), ("NETFILTER_DROP", false));
    assert!((2..=pair.host.nft_counter("blocked")).contains(&packets), "{packets}");
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

#[test]
fn firewall_drops_the_answers_on_the_way_in() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "tcp sport 11113 counter name blocked drop"));
    let said =
        outbound(&pair, "firewall-drops-the-answers-on-the-way-in", "blocked", "local-firewall-in");
    let blocked = pair.host.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, blocked));
    assert_eq!(said.evidence.peers[0].received.syn_ack, blocked);
}

#[test]
fn firewall_drops_the_answers_at_the_device() {
    let pair = Pair::new();
    pair.host.nftables(
        "table netdev t {\nchain c {\ntype filter hook ingress device eth0 priority 0\n\
         tcp sport 11113 drop\n}\n}\n",
    );
    let scenario = "firewall-drops-the-answers-at-the-device";
    let said = outbound(&pair, scenario, "blocked", "local-firewall-in");
    assert_eq!((dropped(&said).0, dropped(&said).1), ("NETFILTER_DROP", true));
}

#[test]
fn reverse_path_filter_drops_the_answers() {
    let pair = Pair::new();
    pair.host.sysctl("net/ipv4/conf/eth0/rp_filter", "1");
    // What the host sends goes by a mark; the way back to the peer is another device.
    pair.host
        .nft("chain c {\ntype route hook output priority -150\nip daddr 10.20.0.2 mark set 1\n}");
    pair.host.ip("rule add fwmark 1 lookup 100\nroute add 10.20.0.2/32 dev eth0 table 100\n\
         link add other type bridge\nlink set other up\n\
         route add 10.20.0.2/32 dev other src 10.20.0.1");
    let said = outbound(&pair, "reverse-path-filter-drops-the-answers", "blocked", "rp-filter");
    assert_eq!((dropped(&said).0, dropped(&said).1), ("IP_RPFILTER", true));
}

#[test]
fn another_program_at_the_device_drops_the_answers() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    let other = ForeignProgram::dropping(&pair.host, "eth0");
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some("tc-drop"));
    assert_eq!(dropped(&said), ("TC_INGRESS", true, other.packets()));
    golden("another-program-at-the-device-drops-the-answers", &daemon.status().1);
    drop(listener);
}

#[test]
fn no_neighbour_takes_the_answers() {
    let pair = Pair::new();
    pair.peer.nftables("table arp t {\nchain c {\ntype filter hook input priority 0\ndrop\n}\n}\n");
    pair.host.ip("neigh flush dev eth0\nneigh del 10.20.0.2 dev eth0");
    let said = inbound(&pair, "no-neighbour-takes-the-answers", "blocked", "neighbor-unreachable");
    assert!(said.evidence.dropped["NEIGH_FAILED"] > 0, "{said:#?}");
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

/// A peer's answers to three questions, which are on the wire and reach no socket.
#[test]
fn firewall_drops_datagrams_in_answer_on_the_way_in() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("input priority 0", "udp sport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, VAULT);
    assert_eq!(exchange(&pair.host, HOST4, &pair.peer, PEER4), 3);
    let said = daemon.verdict(SCANS, "blocked", Some("local-firewall-in"));
    assert_eq!(dropped(&said), ("NETFILTER_DROP", true, 3));
    assert_eq!(said.evidence.failing[0].attempts, 3);
    assert_eq!(said.evidence.peers[0].received.packets, 3);
    assert_eq!(pair.host.nft_counter("blocked"), 3);
}

/// This host's answers to three questions, none of which is on the wire.
#[test]
fn firewall_drops_datagrams_in_answer_on_the_way_out() {
    let pair = Pair::new();
    pair.host.nft(&drop_at("output priority 0", "udp sport 32006 counter name blocked drop"));
    let daemon = Daemon::start(&pair.host, VAULT);
    assert_eq!(exchange(&pair.peer, PEER4, &pair.host, HOST4), 0);
    let said = daemon.verdict(SCANNED, "blocked", Some("local-firewall-out"));
    assert_eq!(dropped(&said), ("NETFILTER_DROP", false, 3));
    assert_eq!(said.evidence.failing[0].attempts, 3);
    assert_eq!(said.evidence.peers[0].transmitted.packets, 0);
}

/// Asks three times, and says how many answers could be sent.
pub(crate) fn exchange(
    asks: &Namespace,
    asker: IpAddr,
    answers: &Namespace,
    answerer: IpAddr,
) -> usize {
    let service = udp_socket(answers, at(answerer, 32006));
    let client = udp_socket(asks, at(asker, 0));
    let answered = (0..3).filter(|_| {
        client.send_to(b"anyone?", at(answerer, 32006)).unwrap();
        let (_, from) = service.recv_from(&mut [0; 16]).unwrap();
        service.send_to(b"here", from).is_ok()
    });
    answered.count()
}
