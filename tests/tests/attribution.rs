//! Every hook places a packet where the wire does: where both of its ports are documented, inside the host, and
//! of what is only passed on.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt};
use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Flow, HOST4, Hosting, Open, PEER4, Pair, Report, at,
    attempt_from, config, connect_from, listen, turned_away,
};

use crate::causes::drop_at;

/// The host with itself.
const OWN: Flow<'_> = Flow("self-monitoring-59999", "server", "self");

/// Both lie where systems take their clients' ports from. The service is on the first.
const PORTS: (u16, u16) = (49200, 50051);

/// A connection from one documented port to another, after both services were used.
struct Both<'a> {
    /// Whether the host is asked.
    served: bool,
    daemon: Daemon<'a>,
    open: Open,
}

impl<'a> Both<'a> {
    fn new(pair: &'a Pair, served: bool) -> Self {
        Self::between(pair, served, PORTS)
    }

    /// From the second port to the service on the first one.
    fn between(pair: &'a Pair, served: bool, ports: (u16, u16)) -> Self {
        for end in [&pair.host, &pair.peer] {
            end.usual_tcp();
            end.sysctl("net/ipv4/icmp_ratelimit", "0");
        }
        let (agent, cluster) = if served { ports } else { (ports.1, ports.0) };
        let moved = format!(
            "\n[system.ports]\n\"agent-50051\" = {agent}\n\"mssql-vdi-11113\" = {cluster}\n"
        );
        let daemon = Daemon::start(&pair.host, &(config::SQL_SERVER.to_owned() + &moved));
        let (agent, cluster) = (at(HOST4, agent), at(PEER4, cluster));
        let (agents, clusters) = (listen(&pair.host, agent), listen(&pair.peer, cluster));
        Open::new(&pair.peer, &agents, agent).close();
        Open::new(&pair.host, &clusters, cluster).close();
        daemon.verdict(AGENT, "ok", None);
        daemon.verdict(CLUSTER, "ok", None);
        let open = if served {
            drop(clusters);
            Open::of(connect_from(&pair.peer, cluster, agent), &agents)
        } else {
            drop(agents);
            Open::of(connect_from(&pair.host, agent, cluster), &clusters)
        };
        Self { served, daemon, open }
    }

    /// The flow of the connection, and the one that it does not belong to.
    fn flows(&self) -> (Flow<'static>, Flow<'static>) {
        if self.served { (AGENT, CLUSTER) } else { (CLUSTER, AGENT) }
    }

    /// The ends of the host and of the peer.
    fn ends(&self) -> (&TcpStream, &TcpStream) {
        let Open { client, server } = &self.open;
        if self.served { (server, client) } else { (client, server) }
    }

    /// Waits until exactly so many of something were counted for the connection's flow, and none for the other.
    fn counts(&self, what: &str, expected: u64, count: impl Fn(&Report, Flow<'_>) -> u64) {
        let (flow, other) = self.flows();
        self.daemon.settles(what, |report| match (count(report, flow), count(report, other)) {
            (counted, 0) if counted == expected => Ok(()),
            counted => Err(format!("{counted:?}, not {expected}, served: {}", self.served)),
        });
    }
}

/// How often a segment is stopped before it comes through.
const STOPPED: u64 = 4;

/// Sends a segment until it comes through.
fn push(mut from: &TcpStream, mut to: &TcpStream) {
    from.write_all(b"data").unwrap();
    to.read_exact(&mut [0; 4]).unwrap();
}

fn dropped(report: &Report, flow: Flow<'_>) -> u64 {
    flow.find(report).evidence.dropped.get("NETFILTER_DROP").copied().unwrap_or(0)
}

fn outcome(report: &Report, flow: Flow<'_>, outcome: &str) -> u64 {
    flow.find(report).evidence.outcomes[outcome]
}

/// Resets a connection.
fn abort(end: TcpStream) {
    setsockopt(&end, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(end);
}

/// A rule that stops what has both ports, and then lets it through.
fn between(hook: &str, then: &str) -> String {
    let (service, other) = PORTS;
    let set = format!("{{ {service}, {other} }}");
    let what = format!("tcp sport {set} tcp dport {set} numgen inc mod 1000 < {STOPPED}");
    drop_at(&format!("{hook} priority 0"), &format!("{what} counter name blocked {then}"))
}

#[test]
fn segments_that_are_dropped_here() {
    for served in [true, false] {
        let pair = Pair::new();
        let both = Both::new(&pair, served);
        let (host, peer) = both.ends();
        pair.host.nft(&between("input", "drop"));
        push(peer, host);
        both.counts("what was dropped on the way in", STOPPED, dropped);
        pair.host.nft(&between("output", "drop"));
        push(host, peer);
        both.counts("what was dropped on the way out too", 2 * STOPPED, dropped);
        assert_eq!(pair.host.nft_counter("blocked"), STOPPED);
    }
}

#[test]
fn errors_about_segments() {
    for served in [true, false] {
        let pair = Pair::new();
        let both = Both::new(&pair, served);
        let (host, peer) = both.ends();
        let reject = between("input", "reject with icmp type admin-prohibited");
        pair.peer.nft(&reject);
        push(host, peer);
        both.counts("errors of the peer", STOPPED, |report, flow| {
            flow.find(report).evidence.icmp.received.values().sum()
        });
        pair.peer.nft("");
        pair.host.nft(&reject);
        push(peer, host);
        both.counts("errors of the host", STOPPED, |report, flow| {
            flow.find(report).evidence.icmp.transmitted.values().sum()
        });
    }
}

#[test]
fn connections_that_the_peer_resets() {
    for served in [true, false] {
        let pair = Pair::new();
        let Both { served, daemon, open } = Both::new(&pair, served);
        let (flow, other) = if served { (AGENT, CLUSTER) } else { (CLUSTER, AGENT) };
        let (client, server) = (open.client, open.server);
        let (_host, peer) = if served { (server, client) } else { (client, server) };
        abort(peer);
        daemon.settles("a reset connection", |report| {
            let of = |flow| (outcome(report, flow, "established"), outcome(report, flow, "reset"));
            match (of(flow), of(other)) {
                ((2, 1), (1, 0)) => Ok(()),
                counted => Err(format!("{counted:?}, served: {served}")),
            }
        });
    }
}

/// Another address of the host.
const OTHER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

#[test]
fn what_the_host_says_to_itself_by_two_addresses() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let to = SocketAddr::new(OTHER4, 59999);
    let listener = listen(&pair.host, to);
    let client = attempt_from(&pair.host, HOST4, to, DEADLINE).unwrap();
    let Open { client, server } = Open::of(client, &listener);
    abort(server);
    drop(client);
    daemon.settles("a connection", |report| {
        let evidence = &OWN.find(report).evidence;
        let said = (evidence.outcomes["established"], evidence.outcomes["reset"]);
        if said == (1, 1) { Ok(()) } else { Err(format!("{said:?}")) }
    });
    let reject = "tcp dport 59999 counter name blocked reject with icmp type admin-prohibited";
    pair.host.sysctl("net/ipv4/icmp_ratelimit", "0");
    pair.host.nft(&drop_at("input priority 0", reject));
    attempt_from(&pair.host, HOST4, to, Duration::from_millis(1500)).unwrap_err();
    let said = daemon.verdict(OWN, "refused", Some("local-firewall-reject"));
    let rejected = pair.host.nft_counter("blocked");
    assert_eq!(said.evidence.dropped["NETFILTER_DROP"], rejected);
    assert_eq!(said.evidence.icmp.transmitted["prohibited"], rejected);
    assert_eq!(daemon.report().unexpected_total, 0);
}

#[test]
fn what_the_host_only_passes_on() {
    let Hosting { host, peer, container } = Hosting::new();
    host.nft(&drop_at(
        "forward priority 0",
        "tcp dport 50051 counter name blocked drop\ntcp dport 11113 counter name blocked reject",
    ));
    let config =
        config::SQL_SERVER.replace("\"10.20.0.0/24\"", "\"10.20.0.0/24\", \"172.30.0.0/24\"");
    let daemon = Daemon::start(&host, &config);
    let _listeners = [50051, 11113].map(|port| listen(&peer, at(PEER4, port)));
    for port in [50051, 11113] {
        let patience = Duration::from_millis(1500);
        turned_away(&container, at(PEER4, port), patience);
    }
    assert!(host.nft_counter("blocked") >= 3);
    let report = daemon.settles("what was forwarded", |report| match report.loss["forwarded"] {
        3.. => Ok(()),
        packets => Err(packets.to_string()),
    });
    for flow in [AGENT, CLUSTER] {
        let said = flow.find(&report);
        assert_eq!((&*said.verdict, dropped(&report, flow)), ("idle", 0), "{said:#?}");
        assert_eq!(said.evidence.icmp.transmitted.len(), 0);
    }
    assert_eq!(report.unexpected_total, 0);
}

/// The lower port is the client's: until the handshake is over, it decides.
#[test]
fn connection_from_a_lower_documented_port_works() {
    for served in [true, false] {
        let pair = Pair::new();
        let both = Both::between(&pair, served, (PORTS.1, PORTS.0));
        both.open.send(1000, 1000);
        let (flow, _) = both.flows();
        both.daemon.settles("the connection", |report| {
            let ended = &flow.find(report).evidence.attempts;
            let times = |end| ended.get(end).copied().unwrap_or(0);
            if (times("completed"), times("half-open")) == (2, 0) {
                Ok(())
            } else {
                Err(format!("{ended:?}"))
            }
        });
        both.daemon.verdict(AGENT, "ok", None);
        both.daemon.verdict(CLUSTER, "ok", None);
        let Both { daemon, open, .. } = both;
        drop(daemon);
        open.close();
    }
}
