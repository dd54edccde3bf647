//! Scans by nmap and checks by haproxy are no use of a flow, and end no failure of one.
//!
//! nmap's SYN scan has its kernel reset what answers; its connect scan resets what it has opened. So does haproxy, whether
//! its check is plain or a `tcp-check`, unless told to `linger`: then it closes in good order.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
};

use tests::{
    AGENT, DEADLINE, Daemon, Flow, HOST4, Pair, Report, Running, Scanner, at, config, listen,
    net::{PEER_MAC, neighbours},
    turned_away, udp_socket, until,
};

/// A service of the backup server, for which nobody listens here.
const BACKUP: Flow<'_> = Flow("backup-32004", "server", "client");

/// A cluster, whose services take datagrams too.
const CLUSTER_NODE: &str = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"cluster\"]\n\
    peers.network-management-system = [\"10.20.0.0/24\"]\n";

/// The network that the configs list, and one that they do not.
const NETWORKS: [u8; 2] = [20, 99];

const fn machine(network: u8, number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, network, 0, number))
}

/// Scans the host from a machine of a network.
fn scan(pair: &Pair, mode: &str, (network, number): (u8, u8), ports: &str) -> IpAddr {
    let (from, to) = (machine(network, number), machine(network, 1));
    // A connect scan takes the address that the route has.
    pair.peer
        .ip(&format!("address replace {from}/24 dev eth0\nroute replace {to} dev eth0 src {from}"));
    pair.host.ip(&neighbours("eth0", PEER_MAC, &[from]));
    let bounds = ["-n", "-Pn", "--disable-arp-ping", "--max-retries", "1", "--max-rate", "1000"];
    let (source, target) = (from.to_string(), to.to_string());
    let source: &[&str] = if mode == "-sT" { &[] } else { &["-S", &source, "-e", "eth0"] };
    let what = [mode, "--host-timeout", "20s", "-p", ports, &target];
    pair.peer.run("nmap", &[&bounds, source, &what].concat());
    from
}

/// Waits until a scanner is named, and sees that it changed no verdict.
fn is_named(daemon: &Daemon<'_>, before: &Report, scanner: Scanner) {
    let report = daemon.settles("the scanner", |report| {
        let named = report.scanners.contains(&scanner);
        if named { Ok(()) } else { Err(format!("{:?}", report.scanners)) }
    });
    for (was, is) in before.expectations.iter().zip(&report.expectations) {
        assert_eq!((&was.flow, &was.verdict), (&is.flow, &is.verdict), "{is:#?}");
        assert_eq!(is.last_success, None, "{is:#?}");
    }
    assert_eq!(report.unexpected_total, 0, "{:?}", report.unexpected);
}

#[test]
fn scans_of_tcp_ports_change_no_verdict() {
    // One of them is open, four are documented.
    const PORTS: &str = "22,80,443,11113,32004,50051,59999";
    let pair = Pair::new();
    let config = [config::SQL_SERVER, config::BACKUP_SERVER].concat();
    let daemon = Daemon::start(&pair.host, &config);
    let _service = listen(&pair.host, at(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 50051));
    let before = daemon.next_report();
    for network in NETWORKS {
        for (mode, number) in [("-sS", 50), ("-sT", 51)] {
            let address = scan(&pair, mode, (network, number), PORTS);
            is_named(&daemon, &before, Scanner { address, ports: 4 });
        }
    }
    // Apart from what was used, and of the listed machines only.
    let report = daemon.next_report();
    let attempts = |flow: Flow<'_>| flow.find(&report).evidence.attempts.clone();
    assert_eq!((attempts(AGENT)["probed"], attempts(AGENT)["completed"]), (2, 0));
    assert_eq!((attempts(BACKUP)["refused"], attempts(BACKUP)["probed"]), (2, 0));
}

#[test]
fn scans_of_udp_ports_change_no_verdict() {
    for network in NETWORKS {
        let pair = Pair::new();
        let daemon = Daemon::start(&pair.host, CLUSTER_NODE);
        let service = udp_socket(&pair.host, at(machine(network, 1), 111));
        let answers = thread::spawn(move || {
            let (_, from) = service.recv_from(&mut [0; 1000]).unwrap();
            service.send_to(b"answer", from).unwrap();
        });
        let before = daemon.next_report();
        let address = scan(&pair, "-sU", (network, 50), "53,88,111,123,161,162,389,2049,5353");
        answers.join().unwrap();
        // All but the one that answers.
        is_named(&daemon, &before, Scanner { address, ports: 8 });
    }
}

/// haproxy with a check of the agent's port, ten times a second.
fn haproxy(pair: &Pair, options: &str) -> Running {
    let config = format!(
        "defaults\nmode tcp\ntimeout connect 5s\ntimeout client 5s\ntimeout server 5s\n\
         listen agent\nbind 127.0.0.1:9999\n{options}server host {HOST4}:50051 check inter 100\n"
    );
    Running::start(&pair.peer, &["haproxy", "-db", "-f", "config"], &config)
}

#[test]
fn checks_of_haproxy_are_no_use_and_end_no_failure() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.peer, at(HOST4, 50051), DEADLINE);
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let _service = listen(&pair.host, at(HOST4, 50051));
    let mut probed = 0;
    for options in ["", "option tcp-check\n"] {
        let haproxy = haproxy(&pair, options);
        let report = until("ten checks", DEADLINE, || {
            let report = daemon.report();
            match AGENT.find(&report).evidence.attempts["probed"] {
                counted if counted >= probed + 10 => Ok(report),
                counted => Err((counted, haproxy.log())),
            }
        });
        probed = AGENT.find(&report).evidence.attempts["probed"];
    }
    let said = daemon.verdict(AGENT, "refused", Some("listens-again"));
    assert_eq!((said.last_success, said.evidence.attempts["completed"]), (None, 0));
    assert_eq!(daemon.report().scanners, []);
    // Closed in good order, it counts as use although no byte passed.
    let haproxy = haproxy(&pair, "option tcp-check\ntcp-check connect linger\n");
    let said = daemon.verdict(AGENT, "ok", None);
    assert!(said.evidence.attempts["completed"] > 0, "{}", haproxy.log());
}
