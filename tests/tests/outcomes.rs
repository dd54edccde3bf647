//! How connections end, as the sockets at either end say, each counted once.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    time::Duration,
};

use nix::sys::socket::{SockaddrStorage, bind, connect, setsockopt, sockopt};
use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Expectation, Flow, HOST4, HOST6, Namespace, Open, PEER4,
    PEER6, Pair, at, attempt, config, listen, multipath_socket, turned_away,
};

/// The flow of the host with itself.
const OWN: Flow<'_> = Flow("self-monitoring-59999", "server", "self");

/// A flow's service, who asks for it, and the flow.
type Case<'a> = (&'a Namespace, &'a Namespace, SocketAddr, Flow<'static>);

/// Either side of the host, by either family.
fn cases(pair: &Pair) -> [Case<'_>; 4] {
    let served = |address: IpAddr| (&pair.host, &pair.peer, at(address, 50051), AGENT);
    let asked = |address: IpAddr| (&pair.peer, &pair.host, at(address, 11113), CLUSTER);
    [served(HOST4), served(HOST6), asked(PEER4), asked(PEER6)]
}

fn open((server, client, address, _): Case<'_>) -> Open {
    Open::new(client, &listen(server, address), address)
}

/// Ends a connection by an RST.
fn reset(end: TcpStream) {
    setsockopt(&end, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(end);
}

/// Waits until a flow has exactly these outcomes and no others.
fn outcomes(daemon: &Daemon<'_>, flow: Flow<'_>, expected: &[(&str, u64)]) -> Expectation {
    let report = daemon.settles(&format!("{expected:?} of {flow:?}"), |report| {
        let all = &flow.find(report).evidence.outcomes;
        let some: Vec<(&str, u64)> =
            all.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (name.as_str(), *n)).collect();
        if some == expected { Ok(()) } else { Err(format!("{some:?}")) }
    });
    flow.find(&report).clone()
}

#[test]
fn peers_that_reset_are_counted_on_either_side() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    for case in cases(&pair) {
        // The peer resets three, the host one, and one ends in good order.
        for resets_here in [false, false, false, true] {
            let Open { client, server } = open(case);
            let is_served = case.3.1 == "server";
            let (own, other) = if is_served { (server, client) } else { (client, server) };
            if resets_here { reset(own) } else { reset(other) }
        }
        open(case).close();
    }
    for flow in [AGENT, CLUSTER] {
        outcomes(&daemon, flow, &[("established", 10), ("reset", 6)]);
    }
}

#[test]
fn sessions_that_time_out_are_counted_on_either_side() {
    let pair = Pair::new();
    pair.host.usual_tcp();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let opened = cases(&pair).map(|case| (open(case), case.3.1 == "server"));
    pair.peer.nft("chain in {\ntype filter hook input priority 0\ndrop\n}");
    for (open, is_served) in &opened {
        let own = if *is_served { &open.server } else { &open.client };
        setsockopt(own, sockopt::TcpUserTimeout, &1500).unwrap();
        std::io::Write::write_all(&mut &*own, b"data").unwrap();
    }
    for flow in [AGENT, CLUSTER] {
        outcomes(&daemon, flow, &[("established", 2), ("timed-out", 2)]);
    }
}

#[test]
fn connections_of_the_host_with_itself_that_break_are_counted_once() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let case = (&pair.host, &pair.host, at([127, 0, 0, 1].into(), 59999), OWN);
    let Open { client, server } = open(case);
    reset(client);
    drop(server);
    let Open { client, server } = open(case);
    reset(server);
    drop(client);
    open(case).close();
    outcomes(&daemon, OWN, &[("established", 3), ("reset", 2)]);
}

/// A service that speaks MPTCP.
fn multipath_listener(namespace: &Namespace, address: SocketAddr) -> TcpListener {
    namespace.inside(|| {
        let socket = multipath_socket();
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(16).unwrap()).unwrap();
        socket.into()
    })
}

fn multipath_connect(namespace: &Namespace, address: SocketAddr) -> TcpStream {
    namespace.inside(|| {
        let socket = multipath_socket();
        connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
        socket.into()
    })
}

#[test]
fn connections_of_mptcp_are_counted_once() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    for (server, client, address, flow) in [
        (&pair.host, &pair.peer, at(HOST4, 50051), AGENT),
        (&pair.peer, &pair.host, at(PEER4, 11113), CLUSTER),
    ] {
        let listener = multipath_listener(server, address);
        for _ in 0..3 {
            let client = multipath_connect(client, address);
            drop((listener.accept().unwrap(), client));
        }
        // A service of MPTCP is asked by plain TCP, and the reverse.
        let plain = attempt(client, address, DEADLINE).unwrap();
        drop((listener.accept().unwrap(), plain));
        drop(listener);
        let listener = listen(server, address);
        let client = multipath_connect(client, address);
        drop((listener.accept().unwrap(), client));
        outcomes(&daemon, flow, &[("established", 5)]);
    }
}

#[test]
fn segments_that_could_not_be_sent_again_are_not_counted() {
    let pair = Pair::new();
    pair.host.usual_tcp();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    // Here it does not leave the host.
    pair.host.nft("chain out {\ntype filter hook output priority 0\ntcp dport 11113 drop\n}");
    turned_away(&pair.host, at(PEER4, 11113), Duration::from_millis(3500));
    let said = daemon.verdict(CLUSTER, "blocked", Some("local-firewall-out"));
    assert_eq!(said.evidence.retransmitted, 0);
    // Here it leaves, and is dropped by the peer. How often it is tried again differs between kernels.
    pair.host.nft("");
    pair.peer.nft("chain in {\ntype filter hook input priority 0\ntcp dport 11113 drop\n}");
    turned_away(&pair.host, at(PEER4, 11113), Duration::from_millis(3500));
    daemon.settles("every segment but the first sent again", |report| {
        let evidence = &CLUSTER.find(report).evidence;
        let syn: u64 = evidence.peers.iter().map(|peer| peer.transmitted.syn).sum();
        let said = (evidence.retransmitted, syn);
        if syn >= 3 && said.0 == syn - 1 { Ok(()) } else { Err(format!("{said:?}")) }
    });
}
