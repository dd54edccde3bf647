//! Every packet counts once, whatever devices it crosses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tests::{
    AGENT, CONTAINER4, Daemon, Flow, HOST4, HOST6, Hosting, Namespace, Open, PEER4, PEER6, Tun,
    Wire, config, frame, listen,
    net::{HOST_MAC, PEER_MAC, join, neighbours},
    segments, udp_socket,
};

const V4: u64 = 14 + 20;

#[test]
fn device_without_link_layer_counts_from_the_ip_header_on() {
    const SERVED: Flow<'_> = Flow("scan-32006", "server", "client");
    let host = Namespace::new("host");
    host.quiet();
    let mut tun = Tun::new(&host, "tun0");
    host.ip("link set tun0 addrgenmode none\n\
             link set tun0 up\n\
             address add 10.20.0.1/24 dev tun0\n\
             address add fd00:20::1/64 dev tun0 nodad");
    let daemon = Daemon::start(&host, &[config::SQL_SERVER, config::BACKUP_SERVER].concat());
    let before = host.counted("tun0");

    for (here, there, ip) in [(HOST4, PEER4, 20), (HOST6, PEER6, 40)] {
        let service = udp_socket(&host, SocketAddr::new(here, 32006));
        let mut buffer = [0; 2000];
        for _ in 0..20 {
            let datagram = frame::udp(40001, 32006, &[1; 100]);
            tun.send(&frame::packet(there, here, frame::UDP, datagram));
            let (length, from) = service.recv_from(&mut buffer).unwrap();
            assert_eq!((length, from), (100, SocketAddr::new(there, 40001)));
            service.send_to(&[2; 300], from).unwrap();
            assert_eq!(tun.receive().len(), ip + 8 + 300);
        }
        // Nothing listens: the answer is a RST without options.
        let opening = frame::tcp(40002, 50051, frame::SYN, &[]);
        tun.send(&frame::packet(there, here, frame::TCP, opening));
        assert_eq!(tun.receive().len(), ip + 20);
    }

    let counted = host.counted("tun0").since(before);
    assert_eq!(counted.received.packets, 42);
    let served = (Wire::new(40, 20 * (128 + 148)), Wire::new(40, 20 * (328 + 348)));
    let agent = Wire::new(2, 40 + 60);
    assert_eq!(counted.received, served.0.and(agent));
    assert_eq!(counted.transmitted, served.1.and(agent));
    daemon.counts(SERVED, served.0, served.1);
    let report = daemon.counts(AGENT, agent, agent);
    assert_eq!(report.loss.values().sum::<u64>(), 0);
}

/// A host with a bridge over two devices, at each of which is a peer.
fn bridged() -> (Namespace, Namespace, Namespace) {
    let (host, a, b) = (Namespace::new("host"), Namespace::new("a"), Namespace::new("b"));
    join(&host, "p1", [2, 0, 0, 0, 0, 0xa1], &a, "eth0", PEER_MAC);
    join(&host, "p2", [2, 0, 0, 0, 0, 0xb1], &b, "eth0", B_MAC);
    host.ip(&format!(
        "link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0\n\
         link set br0 addrgenmode none\n\
         link set p1 master br0\n\
         link set p2 master br0\n\
         link set br0 up\n\
         address add 10.20.0.1/24 dev br0\n\
         {}{}",
        neighbours("br0", PEER_MAC, &[PEER4]),
        neighbours("br0", B_MAC, &[B4]),
    ));
    a.ip(&format!(
        "address add 10.20.0.2/24 dev eth0\n{}{}",
        neighbours("eth0", HOST_MAC, &[HOST4]),
        neighbours("eth0", B_MAC, &[B4]),
    ));
    b.ip(&format!(
        "address add 10.20.0.3/24 dev eth0\n{}{}",
        neighbours("eth0", HOST_MAC, &[HOST4]),
        neighbours("eth0", PEER_MAC, &[PEER4]),
    ));
    (host, a, b)
}

const B_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
const B4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 3));

#[test]
fn host_at_a_bridge_counts_once() {
    let (host, a, _b) = bridged();
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 50051);
    let open = Open::new(&a, &listen(&host, at), at);
    open.send(2_000_000, 50_000);
    let sent = open.close();
    let at = SocketAddr::new(PEER4, 11113);
    let open = Open::new(&host, &listen(&a, at), at);
    open.send(50_000, 2_000_000);
    let asked = open.close();

    daemon.counts(AGENT, segments(sent.up, 2_000_000, V4), segments(sent.down, 50_000, V4));
    let report = daemon.counts(
        Flow("mssql-vdi-11113", "client", "cluster"),
        segments(asked.down, 2_000_000, V4),
        segments(asked.up, 50_000, V4),
    );
    assert_eq!(report.flow_map.entries, 2);
    assert_eq!(report.watched(), ["lo", "p1", "p2"]);
}

#[test]
fn forwarded_by_a_bridge_is_nobodys() {
    let (host, a, b) = bridged();
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    let at = SocketAddr::new(B4, 50051);
    let open = Open::new(&a, &listen(&b, at), at);
    open.send(2_000_000, 50_000);
    open.close();
    let report = daemon.settles("frames for others", |report| {
        match (report.loss["other-machine"], report.loss["forwarded"]) {
            (1.., 1..) => Ok(()),
            counted => Err(format!("{counted:?}")),
        }
    });
    let seen = AGENT.find(&report);
    assert_eq!((&*seen.verdict, seen.evidence.peers_seen), ("idle", 0));
    assert_eq!((report.unexpected_total, report.flow_map.entries), (0, 0));
}

#[test]
fn forwarded_to_a_container_counts_once_as_the_clients() {
    let Hosting { host, peer, container } = Hosting::new();
    host.nft(
        "chain to_container {\ntype nat hook prerouting priority dstnat\n\
         iifname eth0 tcp dport 50051 dnat ip to 172.30.0.2\n}",
    );
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    let listener = listen(&container, SocketAddr::new(CONTAINER4, 50051));
    let open = Open::new(&peer, &listener, SocketAddr::new(HOST4, 50051));
    open.send(2_000_000, 50_000);
    let sent = open.close();
    let report =
        daemon.counts(AGENT, segments(sent.up, 2_000_000, V4), segments(sent.down, 50_000, V4));
    assert_eq!(AGENT.find(&report).evidence.peers_seen, 1);
    assert_eq!(report.unexpected_total, 0, "{:?}", report.unexpected);
}
