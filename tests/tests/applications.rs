//! What real services do beside backups: lookups, traps, health checks, pools.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tests::{
    AGENT, DEADLINE, Daemon, Flow, HOST4, HOST6, Open, PEER4, PEER6, Pair, datagrams,
    dns::{DnsServer, RESOLV_CONF, Says},
    listen, udp_socket, until,
};

const NAME: &str = "br.example.com";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IBM: &str = "[[system]]\nproduct = \"ibm-backup-recovery\"\n";

/// A question for the name's IPv4 addresses.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02br\x07example\x03com\0\0\x01\0\x01";

#[test]
fn own_questions_for_names_are_not_the_hosts() {
    const DNS: Flow<'_> = Flow("dns-53", "client", "dns-server");
    let config = format!(
        "{IBM}roles = [\"cluster\"]\npeers.dns-server = [\"127.0.0.1\"]\npeers.host = [\"{NAME}\"]\n"
    );
    let pair = Pair::new();
    let dns = DnsServer::start(&pair.host);
    dns.says(NAME, Says::Addresses(vec![PEER4]));
    let daemon = Daemon::start_with_etc(&pair.host, &config, &[("resolv.conf", RESOLV_CONF)]);
    until("two rounds of questions", DEADLINE, || match dns.asked(NAME) {
        4.. => Ok(()),
        asked => Err(asked),
    });
    daemon.next_report();
    let report = daemon.next_report();
    assert_eq!((report.flow_map.entries, report.unexpected_total), (0, 0));
    daemon.verdict(DNS, "idle", None);

    // Another program asks the same.
    let program = udp_socket(&pair.host, SocketAddr::new(LOOPBACK, 0));
    program.send_to(QUESTION, SocketAddr::new(LOOPBACK, 53)).unwrap();
    program.recv_from(&mut [0; 512]).unwrap();
    daemon.verdict(DNS, "ok", None);
    daemon.settles("one question", |report| {
        let (received, transmitted) = DNS.counted(report);
        let found = (received.packets, transmitted.packets, report.flow_map.entries);
        if found == (1, 1, 1) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn traps_that_arrive_are_ok_at_both_ends_and_end_their_refusal() {
    const SENT: Flow<'_> = Flow("snmp-trap-162", "client", "network-management-system");
    const HEARD: Flow<'_> = Flow("snmp-trap-162", "server", "cluster");
    for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        let pair = Pair::new();
        let sender =
            format!("{IBM}roles = [\"cluster\"]\npeers.network-management-system = [\"{peer}\"]\n");
        let daemon = Daemon::start(&pair.host, &sender);
        let program = udp_socket(&pair.host, SocketAddr::new(host, 0));
        let there = SocketAddr::new(peer, 162);
        let said = |verdict: &str| {
            let said = daemon.next_report();
            let said = said.expectations.into_iter().find(|it| it.flow == SENT.0).unwrap();
            if said.verdict == verdict { Ok(()) } else { Err(said.verdict) }
        };
        if peer.is_ipv4() {
            program.send_to(b"trap", there).unwrap();
            daemon.verdict(SENT, "refused", Some("remote-refused"));
        }
        let service = udp_socket(&pair.peer, there);
        // An error of before says nothing of what comes more than 3 s later.
        until("traps that count", DEADLINE, || {
            datagrams(&program, there, &service, 1, 100);
            said("ok")
        });
        drop(daemon);

        let pair = Pair::new();
        let receiver =
            format!("{IBM}roles = [\"network-management-system\"]\npeers.cluster = [\"{peer}\"]\n");
        let daemon = Daemon::start(&pair.host, &receiver);
        let program = udp_socket(&pair.peer, SocketAddr::new(peer, 0));
        let here = SocketAddr::new(host, 162);
        program.send_to(b"trap", here).unwrap();
        daemon.verdict(HEARD, "refused", Some("no-listener"));
        let service = udp_socket(&pair.host, here);
        datagrams(&program, here, &service, 1, 100);
        daemon.verdict(HEARD, "ok", None);
    }
}

#[test]
fn health_check_of_this_host_is_no_traffic_with_a_cluster() {
    for (peers, verdict) in [
        ("", "idle"),
        ("peers.cluster = [\"10.20.0.0/24\", \"fd00:20::/64\"]\n", "idle"),
        ("peers.cluster = [\"127.0.0.1\", \"10.20.0.1\", \"fd00:20::1\"]\n", "ok"),
    ] {
        let presence = "[[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n";
        let pair = Pair::new();
        let daemon =
            Daemon::start(&pair.host, &format!("{IBM}roles = [\"host\"]\n{peers}{presence}"));
        for address in [LOOPBACK, HOST4, HOST6] {
            let here = SocketAddr::new(address, 50051);
            let open = Open::new(&pair.host, &listen(&pair.host, here), here);
            open.send(100, 100);
            open.close();
        }
        daemon.settles("three flows", |report| match report.flow_map.entries {
            3 => Ok(()),
            other => Err(other.to_string()),
        });
        daemon.verdict(AGENT, verdict, None);
        assert_eq!(daemon.next_report().unexpected_total, 0);
    }
}

#[test]
fn address_of_a_pool_stays_when_the_answer_is_another() {
    let config = format!(
        "{IBM}roles = [\"host\"]\npeers.cluster = [\"{NAME}\"]\n\
         [[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n"
    );
    let pair = Pair::new();
    let dns = DnsServer::start(&pair.host);
    let of_pool = |number| IpAddr::V4(Ipv4Addr::new(10, 20, 0, number));
    dns.says(NAME, Says::Addresses(vec![of_pool(100)]));
    let daemon = Daemon::start_with_etc(&pair.host, &config, &[("resolv.conf", RESOLV_CONF)]);
    let others = [of_pool(101), of_pool(102), of_pool(103), PEER4, of_pool(104), of_pool(105)];
    for (changes, address) in others.into_iter().enumerate() {
        dns.says(NAME, Says::Addresses(vec![address]));
        until(&format!("{address}"), DEADLINE, || {
            let known = daemon.report().names.remove(0);
            let is_it = known.addresses == [address] && known.changes > changes as u64;
            if is_it { Ok(()) } else { Err(known) }
        });
    }
    let here = SocketAddr::new(HOST4, 50051);
    let open = Open::new(&pair.peer, &listen(&pair.host, here), here);
    open.send(1000, 1000);
    let exchange = open.close();
    daemon.settles("a session of the pool", |report| {
        let (received, transmitted) = AGENT.counted(report);
        let found = (received.packets, transmitted.packets, report.unexpected_total);
        if found == (exchange.up, exchange.down, 0) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    daemon.verdict(AGENT, "ok", None);
}
