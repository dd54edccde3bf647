//! Every attempt by itself: mixes of success and failure, checks, scans.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt};
use tests::{
    AGENT, CLUSTER, Daemon, Flow, HOST4, HOST6, Namespace, Open, PEER4, PEER6, Pair, RawSocket,
    Report, Scanner, Share, at, attempt_by, config, connect_from,
    frame::{self, IPV4, SYN, TCP, ethernet, ipv4},
    listen, turned_away,
};

/// An attempt that gets no answer for so long is given up by the daemon.
const PATIENCE: Duration = Duration::from_millis(5500);

fn counts(daemon: &Daemon<'_>, flow: Flow<'_>, end: &str, times: u64) -> Report {
    daemon.settles("the attempts", |report| match flow.find(report).evidence.attempts[end] {
        counted if counted == times => Ok(()),
        counted => Err(format!("{counted} {end}, not {times}")),
    })
}

/// Ends a connection with RST.
fn reset(stream: &TcpStream) {
    let now = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(stream, sockopt::Linger, &now).unwrap();
}

#[test]
fn checks_that_reset_are_no_use() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    for (from, here, flow) in [
        (&pair.peer, at(HOST4, 50051), AGENT),
        (&pair.peer, at(HOST6, 50051), AGENT),
        (&pair.host, at(PEER4, 11113), CLUSTER),
        (&pair.host, at(PEER6, 11113), CLUSTER),
    ] {
        let service = if flow.0 == AGENT.0 { &pair.host } else { &pair.peer };
        let listener = listen(service, here);
        for _ in 0..5 {
            let open = Open::new(from, &listener, here);
            reset(&open.client);
        }
    }
    for flow in [AGENT, CLUSTER] {
        let report = counts(&daemon, flow, "probed", 10);
        let said = flow.find(&report);
        assert_eq!((&*said.verdict, said.last_success), ("idle", None));
    }
    // A byte makes it use, however it ends.
    let listener = listen(&pair.host, at(HOST4, 50051));
    let open = Open::new(&pair.peer, &listener, at(HOST4, 50051));
    open.send(1, 0);
    reset(&open.client);
    drop(open);
    counts(&daemon, AGENT, "completed", 1);
    daemon.verdict(AGENT, "ok", None);
}

/// Attempts from ports below 41,000 are dropped, those from above work.
fn some_fail(pair: &Pair) {
    pair.host.nft(
        "chain in {\ntype filter hook input priority 0\ntcp dport 50051 tcp sport 40000-40999 drop\n}",
    );
}

fn answered(pair: &Pair, port: u16) {
    let from = SocketAddr::new(PEER4, port);
    let mut stream = connect_from(&pair.peer, from, at(HOST4, 50051));
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

#[test]
fn some_attempts_fail_and_the_verdict_stands() {
    let pair = Pair::new();
    some_fail(&pair);
    let listener = listen(&pair.host, at(HOST4, 50051));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&byte).unwrap();
            }
        }
    });
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let fails = |port| {
        let from = SocketAddr::new(PEER4, port);
        attempt_by(&pair.peer, from, at(HOST4, 50051), Duration::from_millis(300)).unwrap_err();
    };
    // One that fails, one that works, one that fails: no accident any more.
    fails(40_000);
    daemon.verdict(AGENT, "blocked", Some("local-firewall-in"));
    answered(&pair, 41_000);
    daemon.verdict(AGENT, "ok", None);
    fails(40_001);
    daemon.verdict(AGENT, "degraded", Some("local-firewall-in"));
    for number in 1..8 {
        answered(&pair, 41_000 + number);
        fails(40_001 + number);
        let report = daemon.next_report();
        assert_eq!(AGENT.find(&report).verdict, "degraded");
    }
    let report = daemon.settles("all attempts", |report| {
        let said = &AGENT.find(report).evidence;
        match said.failing.first().and_then(|failing| failing.share) {
            Some(Share { failed: 9, total: 17 }) => Ok(()),
            share => Err(format!("{share:?}")),
        }
    });
    assert_eq!(AGENT.find(&report).evidence.attempts["completed"], 8);
    let (code, text) = daemon.status();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("9 of 17 attempts in 10 min failed on eth0"), "{text}");
}

#[test]
fn the_cause_is_that_of_the_last_attempt() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let drops = |namespace: &Namespace, rule: &str| {
        namespace
            .nft(&format!("chain c {{\ntype filter hook prerouting priority -300\n{rule}\n}}"));
    };
    drops(&pair.host, "tcp dport 50051 drop");
    let _listener = listen(&pair.host, at(HOST4, 50051));
    turned_away(&pair.peer, at(HOST4, 50051), Duration::from_millis(500));
    daemon.verdict(AGENT, "blocked", Some("local-firewall-in"));
    // That is fixed, and the peer's firewall drops the answers.
    pair.host.nftables("flush ruleset");
    drops(&pair.peer, "tcp sport 50051 drop");
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    daemon.verdict(AGENT, "blocked", Some("no-answer"));
}

#[test]
fn a_scan_changes_no_verdict() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, &[config::SQL_SERVER, config::BACKUP_SERVER].concat());
    let listener = listen(&pair.host, at(HOST4, 50051));
    let open = Open::new(&pair.peer, &listener, at(HOST4, 50051));
    open.send(1, 1);
    open.close();
    daemon.verdict(AGENT, "ok", None);
    let before = daemon.next_report();
    let raw = RawSocket::new(&pair.peer, "eth0");
    let (scanner, host) = (Ipv4Addr::new(10, 20, 0, 50), Ipv4Addr::new(10, 20, 0, 1));
    for port in 1..=u16::MAX {
        let segment = frame::tcp(54_321, port, SYN, &[]);
        raw.send(&ethernet(&[], IPV4, &ipv4(scanner, host, TCP, 0, 0, &segment)));
    }
    let is_known = |report: &Report| report.scanners.iter().any(|it| it.address == scanner);
    daemon.settles("the scanner", |report| {
        if is_known(report) { Ok(()) } else { Err(format!("{:?}", report.scanners)) }
    });
    for _ in 0..8 {
        let report = daemon.next_report();
        for (was, is) in before.expectations.iter().zip(&report.expectations) {
            assert_eq!((&was.flow, &was.verdict), (&is.flow, &is.verdict), "{is:#?}");
        }
        assert!(matches!(&*report.scanners, [Scanner { ports: 4.., .. }]), "{:?}", report.scanners);
        assert_eq!(report.unexpected_total, 0, "{:?}", report.unexpected);
    }
}

#[test]
fn questions_that_nobody_answers_are_blocked_until_one_is() {
    const DNS: Flow<'_> = Flow("scan-32006", "server", "client");
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::BACKUP_SERVER);
    let service = tests::udp_socket(&pair.host, at(HOST4, 32006));
    let client = tests::udp_socket(&pair.peer, at(PEER4, 40_000));
    client.connect(at(HOST4, 32006)).unwrap();
    let mut buffer = [0; 9];
    for _ in 0..20 {
        client.send(b"x").unwrap();
        service.recv_from(&mut buffer).unwrap();
    }
    let said = daemon.verdict(DNS, "blocked", Some("undetermined"));
    assert_eq!(said.evidence.failing[0].attempts, 20);
    service.send_to(b"y", at(PEER4, 40_000)).unwrap();
    daemon.verdict(DNS, "ok", None);
}
