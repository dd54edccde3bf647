//! What a machine in the network can do to the web port: not keep the daemon from counting, and not
//! make it large.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{setsockopt, sockopt},
};
use rustls::version::TLS13;
use tests::{
    DEADLINE, Daemon, Flow, HOST4, Open, Pair, RawSocket, attempt, config, daemon, elapsed,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    listen, segments,
    tls::Authority,
    until, wall_clock,
};

const PORT: SocketAddr = SocketAddr::new(HOST4, 10150);
const AGENT: SocketAddr = SocketAddr::new(HOST4, 50051);
const FLOW: Flow<'_> = Flow("agent-50051", "server", "cluster");
/// Ethernet and IPv4.
const HEADERS: u64 = 14 + 20;

/// Resident memory in KiB at its highest, less what a program that is not optimised takes more.
///
/// The budget is 40 MiB. The pages of the installed program itself are less than 12 MiB of them.
const BUDGET: u64 = (40 - 12) << 10;

/// The same where all flows of a full map have an attempt that is followed: the installed program takes 29 MiB
/// besides its pages, one that is not optimised three more.
const BUDGET_OF_A_FULL_MAP: u64 = 34 << 10;

/// The oldest a report may be; with 15 s the daemon counts as hung.
const OLDEST: Duration = Duration::from_secs(5);

fn memory(daemon: &Daemon<'_>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    line("VmHWM:") - line("RssFile:")
}

fn open_port(more: &str) -> String {
    format!("{}\n[web]\nlisten = \"0.0.0.0:10150\"\n{more}", config::SQL_SERVER)
}

/// Has a backup run while something else happens, and sees that every packet of it is counted, that
/// reports are fresh all the while, that another machine gets its pages, and that memory is bounded.
#[track_caller]
fn counts_during(pair: &Pair, daemon: &Daemon<'_>, attack: impl FnOnce(&AtomicBool) + Send) {
    let listener = listen(&pair.host, AGENT);
    let (over, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (mut up, mut down, mut bytes, mut connections) = (0, 0, 0, 0);
    let before = FLOW.counted(&daemon.report());
    thread::scope(|scope| {
        scope.spawn(|| {
            attack(&stop);
            over.store(true, Ordering::Relaxed);
        });
        let mut oldest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) || connections < 20 {
            let open = Open::new(&pair.peer, &listener, AGENT);
            open.send(40_000, 20_000);
            let exchange = open.close();
            (up, down) = (up + exchange.up, down + exchange.down);
            (bytes, connections) = (bytes + 1, connections + 1);
            let age = wall_clock().duration_since(daemon.report().taken);
            oldest = oldest.max(age.unsigned_abs());
            if connections >= 20 {
                stop.store(true, Ordering::Relaxed);
            }
        }
        assert!(oldest < OLDEST, "a report was {oldest:?} old");
    });
    let one_more = 8 * (connections - 1);
    let mut received = segments(up, bytes * 40_000, HEADERS);
    let mut transmitted = segments(down, bytes * 20_000, HEADERS);
    // Each connection has options in its first segment.
    received.bytes += one_more;
    transmitted.bytes += one_more;
    daemon.counts(FLOW, received.and(before.0), transmitted.and(before.1));
    let memory = memory(daemon);
    assert!(memory < BUDGET, "{memory} KiB of memory");
}

fn connect(pair: &Pair) -> TcpStream {
    let socket = attempt(&pair.peer, PORT, DEADLINE).unwrap();
    socket.set_read_timeout(Some(DEADLINE * 2)).unwrap();
    socket
}

/// Asks as another machine than the attacker's, and is answered all the while.
fn is_served(daemon: &Daemon<'_>) {
    for _ in 0..5 {
        assert_eq!(daemon.ask("/readyz", "").unwrap().status, 200);
    }
}

/// How many were refused for a reason.
fn refused(daemon: &Daemon<'_>, reason: &str) -> u64 {
    daemon.next_report();
    let series = daemon.series("backupflow_web_refused_total", &[("reason", reason)]);
    series[0].1.to_string().parse().unwrap()
}

/// Reads to the end, and gives the status code of the answer; empty where there is none.
fn answer(mut socket: &TcpStream) -> String {
    let mut bytes = Vec::new();
    // An answer to a request that was not read to its end may be followed by a reset.
    drop(socket.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn slow_heads_end_in_time() {
    const SLOW: usize = 300;
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, &open_port(""));
    counts_during(&pair, &daemon, |_| {
        let sockets: Vec<TcpStream> = (0..SLOW).map(|_| connect(&pair)).collect();
        let ((), took) = elapsed(|| {
            let mut open = SLOW;
            until("the end of the slow ones", DEADLINE, || {
                open = sockets.iter().filter(|socket| (&**socket).write_all(b"G").is_ok()).count();
                is_served(&daemon);
                if open == 0 { Ok(()) } else { Err(open) }
            });
        });
        assert!(took > Duration::from_secs(3), "{took:?}: they were not slow");
    });
    // Half of the room is for one machine.
    assert_eq!((refused(&daemon, "connections"), refused(&daemon, "time")), (268, 32));
}

#[test]
fn ten_thousand_connections_at_once() {
    const CONNECTIONS: usize = 10_000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(12_000), hard.max(12_000)).unwrap();
    let pair = Pair::new();
    pair.peer.sysctl("net/ipv4/ip_local_port_range", "15000 29999");
    let daemon = Daemon::start(&pair.host, &open_port(""));
    counts_during(&pair, &daemon, |_| {
        let sockets = pair.peer.inside(|| {
            let open = || TcpStream::connect_timeout(&PORT, DEADLINE).unwrap();
            (0..CONNECTIONS).map(|_| open()).collect::<Vec<_>>()
        });
        is_served(&daemon);
        let mut closed = 0;
        for socket in &sockets {
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            closed += usize::from(matches!((&*socket).read(&mut [0]), Ok(0)));
        }
        assert_eq!(closed, CONNECTIONS);
    });
    let (connections, time) = (refused(&daemon, "connections"), refused(&daemon, "time"));
    assert_eq!(connections + time, 10_000);
    assert!(connections > 9000, "{connections}");
}

#[test]
fn long_heads_and_paths_are_not_kept() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, &open_port(""));
    let sent = AtomicU64::new(0);
    counts_during(&pair, &daemon, |stop| {
        let header = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(1 << 20));
        let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(64 << 10));
        while !stop.load(Ordering::Relaxed) {
            for request in [&header, &path] {
                let socket = connect(&pair);
                drop((&socket).write_all(request.as_bytes()));
                let answer = answer(&socket);
                assert!(["", "431"].contains(&&*answer), "{answer}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
            is_served(&daemon);
        }
    });
    let sent = sent.into_inner();
    assert!(sent >= 10, "{sent}");
    assert_eq!(refused(&daemon, "request"), sent);
}

#[test]
fn wrong_passwords_in_a_loop() {
    const ATTACKERS: u64 = 16;
    // `prom` with the passwords `right` and `wrong`.
    const RIGHT: &str = "Authorization: Basic cHJvbTpyaWdodA==\r\n";
    const WRONG: &str = "Authorization: Basic cHJvbTp3cm9uZw==\r\n";
    const HASH: &str = "$2b$10$joi5SB78w.B4SOCUJ5m76eXZAs22Z7Ik5/1PhJ9mwaka81E0h.uOi";
    let pair = Pair::new();
    let web = daemon::folder(&pair.host).join("web.toml");
    std::fs::write(&web, format!("[basic_auth_users]\nprom = \"{HASH}\"\n")).unwrap();
    let config = open_port(&format!("config_file = \"{}\"\n", web.display()));
    let daemon = Daemon::start(&pair.host, &config);
    assert_eq!(daemon.ask("/readyz", RIGHT).unwrap().status, 200);
    let denied = AtomicU64::new(0);
    counts_during(&pair, &daemon, |stop| {
        thread::scope(|scope| {
            for _ in 0..ATTACKERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let socket = connect(&pair);
                        write!(&socket, "GET / HTTP/1.1\r\nHost: x\r\n{WRONG}\r\n").unwrap();
                        assert_eq!(answer(&socket), "401");
                        denied.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while !stop.load(Ordering::Relaxed) {
                // Known by now: it does not wait for the others.
                let (answer, took) = elapsed(|| daemon.ask("/metrics", RIGHT).unwrap());
                assert_eq!(answer.status, 200);
                assert!(took < Duration::from_secs(2), "{took:?}");
            }
        });
    });
    let denied = denied.into_inner();
    assert!(denied >= ATTACKERS, "{denied}");
    assert_eq!(refused(&daemon, "password"), denied);
}

#[test]
fn handshakes_in_a_loop() {
    let pair = Pair::new();
    let authority = Authority::new();
    let folder = daemon::folder(&pair.host);
    let identity = authority.sign(2099);
    for (file, text) in [
        ("cert.pem", identity.certificate.as_str()),
        ("key.pem", &identity.key),
        ("web.toml", "[tls_server_config]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n"),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let web = folder.join("web.toml");
    let config = open_port(&format!("config_file = \"{}\"\n", web.display()));
    let daemon = Daemon::start(&pair.host, &config);
    let client = authority.client(&[&TLS13], None);
    let broken = AtomicU64::new(0);
    counts_during(&pair, &daemon, |stop| {
        thread::scope(|scope| {
            for beginning in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 4, 9, 9, 9, 9]] {
                let broken = &broken;
                let pair = &pair;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let socket = connect(pair);
                        (&socket).write_all(beginning).unwrap();
                        let answer = answer(&socket);
                        let plain = beginning.starts_with(b"GET");
                        assert_eq!(answer == "400", plain, "{answer:?}");
                        broken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while !stop.load(Ordering::Relaxed) {
                let answer = client.ask(&pair.peer, PORT, "/metrics", "").unwrap();
                assert_eq!(answer.status, 200);
            }
        });
    });
    let broken = broken.into_inner();
    assert!(broken >= 10, "{broken}");
    assert_eq!(refused(&daemon, "handshake"), broken);
}

/// A config of 85 systems, each with peers of its own.
fn many_expectations() -> String {
    (0..85).fold(String::new(), |mut config, number| {
        write!(
            config,
            "[[system]]\nname = \"s{number}\"\nproduct = \"ibm-backup-recovery\"\n\
             roles = [\"ms-sql-server\", \"physical-server\"]\n\
             peers.cluster = [\"10.20.{}.0/24\", \"10.21.{number}.0/24\"]\n",
            64 + number,
        )
        .unwrap();
        config
    })
}

/// A daemon with room for 16 Ki flows that expects more than 500 of them.
fn large(pair: &Pair) -> Daemon<'_> {
    let more = "[kernel]\nflows = 16384\n[web]\nlisten = \"0.0.0.0:10150\"\n";
    let daemon = Daemon::start(&pair.host, &(many_expectations() + more));
    assert_eq!(daemon.report().expectations.len(), 510);
    daemon
}

#[test]
fn memory_with_five_hundred_expectations() {
    let pair = Pair::new();
    let daemon = large(&pair);
    // Answers that nobody reads, of one report after another.
    let mut unread = Vec::new();
    for _ in 0..8 {
        daemon.next_report();
        for encoding in ["identity", "gzip"] {
            for path in ["/metrics", "/api/v1/report"] {
                let socket = connect(&pair);
                setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
                write!(&socket, "GET {path} HTTP/1.1\r\nAccept-Encoding: {encoding}\r\n\r\n")
                    .unwrap();
                unread.push(socket);
            }
        }
    }
    let memory = memory(&daemon);
    assert!(memory < BUDGET, "{memory} KiB of memory");
}

/// Every one fails and has a cause, which takes most.
#[test]
fn memory_with_a_map_full_of_failing_flows() {
    const FLOWS: u16 = 16_384;
    let pair = Pair::new();
    let daemon = large(&pair);
    let raw = RawSocket::new(&pair.peer, "eth0");
    for number in 0..FLOWS {
        let [high, low] = number.to_be_bytes();
        let from = Ipv4Addr::new(10, 20, 64 + high, low);
        let segment = tcp(40000, 50051, SYN, &[]);
        let to = Ipv4Addr::new(10, 20, 0, 1);
        raw.send(&ethernet(&[], IPV4, &ipv4(from, to, TCP, 0, 0, &segment)));
    }
    until("a full map", DEADLINE * 2, || match daemon.report().flow_map.entries {
        16_384 => Ok(()),
        entries => Err(entries),
    });
    daemon.metrics();
    let memory = memory(&daemon);
    assert!(memory < BUDGET_OF_A_FULL_MAP, "{memory} KiB of memory");
}
