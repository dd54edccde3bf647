//! Whose traffic it is: address translation, guests, containers, frames for others.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Flow, GUEST4, HOST4, HOST6, Hosting, Namespace, PEER4, PEER6,
    Pair, RawSocket, at, attempt, config,
    frame::{self, IPV4, SYN, TCP, ethernet, ipv4},
    listen,
    net::{GUEST6, HOST_MAC, neighbours},
    turned_away,
};

/// Where a connection goes in the end: 5000, although the peer asks for 50051.
const HIDDEN: u16 = 5000;

fn uses(from: &Namespace, service: &Namespace, bound: SocketAddr, asked: SocketAddr, times: usize) {
    let listener = listen(service, bound);
    for _ in 0..times {
        let mut client = attempt(from, asked, DEADLINE).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(&[1; 1000]).unwrap();
        server.read_exact(&mut [0; 1000]).unwrap();
        server.write_all(&[2; 1000]).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
    }
}

fn completed(daemon: &Daemon<'_>, flow: Flow<'_>, times: u64) {
    daemon.settles("attempts that completed", |report| {
        let said = flow.find(report);
        match (said.evidence.attempts["completed"], &*said.verdict) {
            (counted, "ok") if counted == times => Ok(()),
            other => Err(format!("{other:?}, not {times}")),
        }
    });
    let evidence = flow.find(&daemon.next_report()).evidence.clone();
    assert_eq!(evidence.failing_total, 0);
    let others: u64 = evidence.attempts.values().sum();
    assert_eq!(others, times, "{:?}", evidence.attempts);
}

#[test]
fn redirected_port_works() {
    let pair = Pair::new();
    pair.host.nft(&format!(
        "chain here {{\ntype nat hook prerouting priority dstnat\n\
         tcp dport 50051 redirect to :{HIDDEN}\n}}",
    ));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let here = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), HIDDEN);
    uses(&pair.peer, &pair.host, here, at(HOST4, 50051), 5);
    uses(&pair.peer, &pair.host, here, at(HOST6, 50051), 5);
    completed(&daemon, AGENT, 10);
}

#[test]
fn translated_destination_of_this_host_works() {
    let pair = Pair::new();
    pair.host.nft(
        "chain out {\ntype nat hook output priority -100\n\
         ip daddr 10.99.0.2 tcp dport 11113 dnat ip to 10.20.0.2\n\
         ip6 daddr fd00:99::2 tcp dport 11113 dnat ip6 to fd00:20::2\n}",
    );
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let guest4 = SocketAddr::new(GUEST4, 11113);
    let guest6 = SocketAddr::new(GUEST6, 11113);
    uses(&pair.host, &pair.peer, at(PEER4, 11113), guest4, 3);
    uses(&pair.host, &pair.peer, at(PEER6, 11113), guest6, 3);
    completed(&daemon, CLUSTER, 6);
}

#[test]
fn attempts_of_a_container_are_not_the_hosts() {
    let Hosting { host, peer, container } = Hosting::new();
    host.nft(
        "chain out {\ntype nat hook postrouting priority srcnat\n\
         ip saddr 172.30.0.0/24 oifname eth0 masquerade\n}",
    );
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    // The container's works, the host never tries.
    uses(&container, &peer, at(PEER4, 11113), at(PEER4, 11113), 3);
    let report =
        daemon.settles("packets of the container", |report| match report.loss["forwarded"] {
            10.. => Ok(()),
            packets => Err(packets.to_string()),
        });
    assert_eq!(CLUSTER.find(&report).verdict, "idle");
    assert_eq!(report.loss["unplaced"], 0);
    // The host's works, the container's gets no answer.
    uses(&host, &peer, at(PEER4, 11113), at(PEER4, 11113), 3);
    completed(&daemon, CLUSTER, 3);
    peer.nft("chain in {\ntype filter hook input priority 0\ntcp dport 11113 ip ttl 63 drop\n}");
    let _listener = listen(&peer, at(PEER4, 11113));
    turned_away(&container, at(PEER4, 11113), std::time::Duration::from_millis(5500));
    completed(&daemon, CLUSTER, 3);
}

#[test]
fn frames_for_another_machine_are_no_attempts() {
    let pair = Pair::new();
    pair.host.ip("link set eth0 promisc on");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let raw = RawSocket::new(&pair.peer, "eth0");
    let other = Ipv4Addr::new(10, 20, 0, 77);
    for port in 40_000..40_003 {
        let segment = frame::tcp(port, 50051, SYN, &[]);
        let packet = ipv4(Ipv4Addr::new(10, 20, 0, 2), other, TCP, 0, 0, &segment);
        let mut bytes = ethernet(&[], IPV4, &packet);
        bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0x99, 0x99]);
        raw.send(&bytes);
    }
    let report = daemon.settles("frames for others", |report| match report.loss["other-machine"] {
        3 => Ok(()),
        frames => Err(frames.to_string()),
    });
    assert_eq!((&*AGENT.find(&report).verdict, report.flow_map.entries), ("idle", 0));
}

#[test]
fn address_that_comes_and_goes_is_followed() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let vip = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 99));
    pair.peer.ip(&neighbours("eth0", HOST_MAC, &[vip]));
    daemon.next_report();
    pair.host.ip("address add 10.20.0.99/32 dev eth0");
    daemon.next_report();
    uses(&pair.peer, &pair.host, at(vip, 50051), at(vip, 50051), 2);
    completed(&daemon, AGENT, 2);
    let before = daemon.report().loss["forwarded"];
    pair.host.ip("address del 10.20.0.99/32 dev eth0");
    daemon.next_report();
    turned_away(&pair.peer, at(vip, 50051), std::time::Duration::from_millis(500));
    daemon.settles("what is for nobody here", |report| match report.loss["forwarded"] {
        now if now > before => Ok(()),
        now => Err(now.to_string()),
    });
    completed(&daemon, AGENT, 2);
}
