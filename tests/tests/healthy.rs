//! Traffic that looks bad and is not: no discrepancy opens.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt};
use tests::{
    DEADLINE, Daemon, FAR4, HOST4, Namespace, PEER4, Pair, Routed, TcpInfo, attempt, config,
    connect_from, listen, until,
};

const AGENT: SocketAddr = SocketAddr::new(HOST4, 50051);
const CLUSTER: SocketAddr = SocketAddr::new(PEER4, 11113);
const BAD: [&str; 4] = ["blocked", "refused", "missing", "degraded"];

/// Runs traffic, and looks at every report meanwhile.
#[track_caller]
fn stays_quiet(daemon: &Daemon<'_>, traffic: impl FnOnce() + Send) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            traffic();
            done.store(true, Ordering::Relaxed);
        });
        let mut last = false;
        while !last {
            // One more after the end, so that nothing is left out.
            last = done.load(Ordering::Relaxed);
            let report = daemon.next_report();
            let bad: Vec<_> = report
                .expectations
                .iter()
                .filter(|expectation| BAD.contains(&&*expectation.verdict))
                .collect();
            assert!(bad.is_empty(), "{bad:#?}");
            assert_eq!(report.unexpected_total, 0, "{:#?}", report.unexpected);
        }
    });
}

/// Answers every byte of every connection with the same, until told to stop.
fn echo(listener: &TcpListener, connections: usize) {
    for stream in listener.incoming().take(connections) {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(buffer.get(..read).unwrap()).is_err() {
                    break;
                }
            }
        });
    }
}

fn ask(mut stream: &TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

fn connect(from: &Namespace, to: SocketAddr) -> TcpStream {
    attempt(from, to, DEADLINE).unwrap()
}

#[test]
fn ten_thousand_short_connections() {
    const EACH_WAY: usize = 5000;
    let pair = Pair::new();
    for namespace in [&pair.host, &pair.peer] {
        // Each takes a port for a minute.
        namespace.sysctl("net/ipv4/ip_local_port_range", "20000 29999");
    }
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let (agent, cluster) = (listen(&pair.host, AGENT), listen(&pair.peer, CLUSTER));
    let run = |from: &Namespace, to| {
        from.inside(|| {
            for _ in 0..EACH_WAY {
                ask(&TcpStream::connect(to).unwrap());
            }
        });
    };
    stays_quiet(&daemon, || {
        thread::scope(|scope| {
            scope.spawn(|| echo(&agent, EACH_WAY));
            scope.spawn(|| echo(&cluster, EACH_WAY));
            scope.spawn(|| run(&pair.peer, AGENT));
            scope.spawn(|| run(&pair.host, CLUSTER));
        });
    });
    let report = daemon.report();
    let established = |flow: &str| {
        let of = report.expectations.iter().find(|expectation| expectation.flow == flow);
        of.unwrap().evidence.outcomes["established"]
    };
    assert_eq!(established("agent-50051"), EACH_WAY as u64);
    assert_eq!(established("mssql-vdi-11113"), EACH_WAY as u64);
}

#[test]
fn connections_that_end_in_unusual_ways() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let (agent, cluster) = (listen(&pair.host, AGENT), listen(&pair.peer, CLUSTER));
    stays_quiet(&daemon, || {
        for (from, to, listener) in [(&pair.peer, AGENT, &agent), (&pair.host, CLUSTER, &cluster)] {
            // Half closed: one side still sends.
            let client = connect(from, to);
            let mut server = listener.accept().unwrap().0;
            client.shutdown(Shutdown::Write).unwrap();
            server.write_all(&vec![1; 100_000]).unwrap();
            drop(server);
            let mut rest = Vec::new();
            (&client).read_to_end(&mut rest).unwrap();
            assert_eq!(rest.len(), 100_000);
            // Closed with data unread, and cut off: both end with RST.
            for _ in 0..20 {
                let client = connect(from, to);
                let mut server = listener.accept().unwrap().0;
                server.write_all(&[1; 10_000]).unwrap();
                client.peek(&mut [0]).unwrap();
                drop(client);
                let client = connect(from, to);
                let server = listener.accept().unwrap().0;
                let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(&client, sockopt::Linger, &at_once).unwrap();
                drop((client, server));
            }
            // Opened and given up before anything was said.
            for _ in 0..20 {
                drop(connect(from, to));
                drop(listener.accept().unwrap());
            }
        }
    });
}

#[test]
fn ports_that_are_used_again_and_listeners_that_start_again() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    stays_quiet(&daemon, || {
        for round in 0..5 {
            let listener = listen(&pair.host, AGENT);
            // The same port of the client each time, in spite of its TIME_WAIT.
            let own = SocketAddr::new(PEER4, 30_000);
            let client = connect_from(&pair.peer, own, AGENT);
            let server = listener.accept().unwrap().0;
            let (first, second) = if round % 2 == 0 { (client, server) } else { (server, client) };
            drop(first);
            thread::sleep(Duration::from_millis(300));
            drop(second);
            drop(listener);
        }
    });
}

#[test]
fn sessions_that_only_keep_themselves_alive() {
    let pair = Pair::new();
    for namespace in [&pair.host, &pair.peer] {
        namespace.sysctl("net/ipv4/tcp_keepalive_time", "1");
        namespace.sysctl("net/ipv4/tcp_keepalive_intvl", "1");
    }
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let (agent, cluster) = (listen(&pair.host, AGENT), listen(&pair.peer, CLUSTER));
    stays_quiet(&daemon, || {
        let open = [(&pair.peer, AGENT, &agent), (&pair.host, CLUSTER, &cluster)].map(
            |(from, to, listener)| {
                let client = connect(from, to);
                setsockopt(&client, sockopt::KeepAlive, &true).unwrap();
                (client, listener.accept().unwrap().0)
            },
        );
        thread::sleep(Duration::from_secs(6));
        for (client, mut server) in open {
            server.write_all(b"x").unwrap();
            (&client).read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn bursts_through_a_narrow_link() {
    let pair = Pair::new();
    for namespace in [&pair.host, &pair.peer] {
        namespace.usual_tcp();
    }
    pair.host.tc("qdisc add dev eth0 root tbf rate 20mbit burst 16kb latency 20ms");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let cluster = listen(&pair.peer, CLUSTER);
    stays_quiet(&daemon, || {
        let client = connect(&pair.host, CLUSTER);
        let mut server = cluster.accept().unwrap().0;
        thread::scope(|scope| {
            scope.spawn(move || {
                (&client).write_all(&vec![7; 4 << 20]).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            let mut read = Vec::new();
            server.read_to_end(&mut read).unwrap();
            assert_eq!(read.len(), 4 << 20);
        });
    });
    // The link did lose segments, and they were sent again.
    let report = daemon.report();
    let again = report.expectations.iter().map(|expectation| expectation.evidence.retransmitted);
    assert!(again.sum::<u64>() > 0);
}

#[test]
fn local_ports_that_are_documented_elsewhere() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let other: IpAddr = PEER4;
    let listener = listen(&pair.peer, SocketAddr::new(other, 8000));
    stays_quiet(&daemon, || {
        for port in [50051, 11113, 11117, 59999] {
            let own = SocketAddr::new(HOST4, port);
            let client = connect_from(&pair.host, own, SocketAddr::new(other, 8000));
            drop(listener.accept().unwrap());
            drop(client);
            // Nobody listens there.
            drop(attempt(&pair.host, SocketAddr::new(other, 8001), DEADLINE));
        }
    });
}

#[test]
fn sessions_that_wait_lose_segments_or_pause() {
    let net = Routed::new();
    // So that every segment is a packet of its own to the router.
    net.host.ethtool("eth0", "tso off gso off");
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let to = SocketAddr::new(FAR4, 11113);
    let cluster = listen(&net.peer, to);
    let accept = || (connect(&net.host, to), cluster.accept().unwrap().0);
    let rule = |rule: &str| {
        format!("chain c {{\ntype filter hook forward priority 0\ntcp dport 11113 {rule}\n}}")
    };
    stays_quiet(&daemon, || {
        // Nobody reads, for longer than it takes to call a session stuck.
        let (mut waiting, _reader) = accept();
        waiting.set_nonblocking(true).unwrap();
        while waiting.write(&[7; 4096]).is_ok() {}
        let began = TcpInfo::of(&waiting).segments_out;
        // One segment of five is lost.
        net.between.nft(&rule("numgen random mod 5 0 drop"));
        let (mut client, mut server) = accept();
        thread::scope(|scope| {
            scope.spawn(|| client.write_all(&vec![7; 300_000]).unwrap());
            server.read_exact(&mut vec![0; 300_000]).unwrap();
        });
        // Nothing passes for a while.
        net.between.nft(&rule("drop"));
        client.write_all(&[7; 10_000]).unwrap();
        thread::sleep(Duration::from_secs(4));
        net.between.nft("");
        server.read_exact(&mut [0; 10_000]).unwrap();
        let probed = || TcpInfo::of(&waiting).segments_out - began;
        until("probes of the window", DEADLINE * 2, || if probed() > 5 { Ok(()) } else { Err(()) });
    });
    let report = daemon.report();
    let again = report.expectations.iter().map(|expectation| expectation.evidence.retransmitted);
    assert!(again.sum::<u64>() > 20);
}
