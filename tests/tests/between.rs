//! What a firewall between the two ends does to a flow, told from one of them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, Expectation, FAR4, Flow, HOST4, Namespace, Routed, Session,
    TcpInfo, attempt, config, connect_from, golden, listen, turned_away, until,
};

const AGENT_AT: SocketAddr = SocketAddr::new(HOST4, 50051);
const CLUSTER_AT: SocketAddr = SocketAddr::new(FAR4, 11113);

/// Long enough for two retransmissions of a SYN.
const PATIENCE: Duration = Duration::from_millis(3500);

/// How long it takes until a session is known to be stuck, and then some.
const STUCK: Duration = Duration::from_secs(40);

/// A rule of the router for what it passes on.
fn passing(rule: &str) -> String {
    format!("counter blocked {{}}\nchain c {{\ntype filter hook forward priority 0\n{rule}\n}}")
}

/// Makes a firewall drop what belongs to no connection that it knows, and forget those soon that are
/// silent. A `loose` one takes any segment for the beginning of a connection.
pub(crate) fn forget_soon(firewall: &Namespace, hook: &str, loose: bool) {
    firewall.nft(&format!(
        "counter blocked {{}}\nchain c {{\ntype filter hook {hook} priority 0\n\
         ct state invalid counter name blocked drop\n}}"
    ));
    firewall.sysctl("net/netfilter/nf_conntrack_tcp_loose", if loose { "1" } else { "0" });
    firewall.sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", "5");
}

/// An open session, and which of its ends is the host's.
pub(crate) struct Talk {
    host: TcpStream,
    pub(crate) peer: TcpStream,
    _listener: TcpListener,
}

impl Talk {
    /// The peer connects to the agent, from a port of its own choice.
    pub(crate) fn with_agent(net: &Routed, port: u16) -> Self {
        let listener = listen(&net.host, AGENT_AT);
        let peer = connect_from(&net.peer, SocketAddr::new(FAR4, port), AGENT_AT);
        Self { host: listener.accept().unwrap().0, peer, _listener: listener }.begin()
    }

    /// The host connects to the cluster, from a port of its own choice.
    fn with_cluster(net: &Routed, port: u16) -> Self {
        let listener = listen(&net.peer, CLUSTER_AT);
        let host = connect_from(&net.host, SocketAddr::new(HOST4, port), CLUSTER_AT);
        Self { host, peer: listener.accept().unwrap().0, _listener: listener }.begin()
    }

    fn begin(self) -> Self {
        for end in [&self.host, &self.peer] {
            end.set_read_timeout(Some(DEADLINE)).unwrap();
        }
        self.exchange();
        self
    }

    /// A word each way, and all of it acknowledged.
    fn exchange(&self) {
        for (mut from, mut to) in [(&self.host, &self.peer), (&self.peer, &self.host)] {
            from.write_all(&[1; 100]).unwrap();
            to.read_exact(&mut [0; 100]).unwrap();
        }
    }

    /// Waits until neither end has heard the other for longer than every firewall here remembers.
    pub(crate) fn falls_silent(&self) {
        for end in [&self.host, &self.peer] {
            until("silence", DEADLINE * 2, || {
                let heard = TcpInfo::of(end).heard;
                if heard > Duration::from_millis(11_500) { Ok(()) } else { Err(heard) }
            });
        }
    }
}

/// What is said of a flow once its session is known to be stuck.
pub(crate) fn stuck(daemon: &Daemon<'_>, flow: Flow<'_>, cause: &str) -> (Expectation, Session) {
    until("a stuck session", STUCK, || match flow.find(&daemon.report()) {
        said if said.verdict == "degraded" => Ok(()),
        said => Err(format!("{} {:?}", said.verdict, said.evidence)),
    });
    let said = daemon.verdict(flow, "degraded", Some(cause));
    let [failing] = said.evidence.failing.as_slice() else { panic!("{said:#?}") };
    let [session] = failing.sessions.as_slice() else { panic!("{said:#?}") };
    assert_eq!((failing.attempts, failing.sessions_total, session.open), (0, 1, true));
    let session = session.clone();
    (said, session)
}

#[test]
fn attempts_are_dropped_on_the_way_out() {
    let net = Routed::new();
    net.between.nft(&passing("tcp dport 11113 counter name blocked drop"));
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let listener = listen(&net.peer, CLUSTER_AT);
    turned_away(&net.host, CLUSTER_AT, PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-answer"));
    golden("attempts-are-dropped-on-the-way-out", &daemon.status().1);
    let blocked = net.between.nft_counter("blocked");
    assert!(blocked >= 2, "{blocked}");
    assert_eq!(said.evidence.failing[0].attempts, blocked);
    assert_eq!(said.evidence.peers[0].transmitted.syn, blocked);
    assert_eq!(said.evidence.peers[0].received.packets, 0);
    drop(listener);
}

#[test]
fn answers_of_the_peer_are_dropped() {
    let net = Routed::new();
    net.between.nft(&passing("tcp sport 11113 counter name blocked drop"));
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let listener = listen(&net.peer, CLUSTER_AT);
    turned_away(&net.host, CLUSTER_AT, PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-answer"));
    assert!(net.between.nft_counter("blocked") >= 2);
    let peer = &said.evidence.peers[0];
    assert_eq!((peer.received.packets, peer.transmitted.syn), (0, peer.transmitted.packets));
    drop(listener);
}

#[test]
fn attempts_of_the_peer_that_never_come_are_not_seen() {
    let net = Routed::new();
    net.between.nft(&passing("tcp dport 50051 drop"));
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let listener = listen(&net.host, AGENT_AT);
    turned_away(&net.peer, AGENT_AT, PATIENCE);
    let said = daemon.verdict(AGENT, "idle", None);
    assert_eq!(said.evidence.peers_seen, 0);
    drop(listener);
}

#[test]
fn answers_of_this_host_are_dropped() {
    let net = Routed::new();
    net.between.nft(&passing("tcp sport 50051 counter name blocked drop"));
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let listener = listen(&net.host, AGENT_AT);
    turned_away(&net.peer, AGENT_AT, PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", Some("no-answer"));
    golden("answers-of-this-host-are-dropped", &daemon.status().1);
    let peer = &said.evidence.peers[0];
    assert!(peer.received.syn >= 2, "{peer:?}");
    assert_eq!(said.evidence.failing[0].attempts, peer.received.syn);
    assert_eq!(peer.received.packets, peer.received.syn);
    assert_eq!(peer.transmitted.syn_ack, peer.transmitted.packets);
    assert_eq!(said.evidence.outcomes["established"], 0);
    // Where they pass again, the next attempt succeeds.
    net.between.nft("");
    drop(attempt(&net.peer, AGENT_AT, DEADLINE).unwrap());
    daemon.verdict(AGENT, "ok", None);
    drop(listener);
}

#[test]
fn answers_of_this_host_are_dropped_beside_a_session_that_works() {
    let net = Routed::new();
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let talk = Talk::with_agent(&net, 30_001);
    daemon.verdict(AGENT, "ok", None);
    net.between.nft(&passing("tcp sport 50051 tcp flags & syn == syn drop"));
    let began = daemon.report().taken;
    let client = std::thread::scope(|scope| {
        let client = scope.spawn(|| attempt(&net.peer, AGENT_AT, PATIENCE));
        while !client.is_finished() {
            talk.exchange();
        }
        client.join().unwrap()
    });
    client.unwrap_err();
    let said = daemon.verdict(AGENT, "blocked", Some("no-answer"));
    assert!(said.last_seen.unwrap() > began);
}

#[test]
fn firewall_in_between_refuses_with_a_reset() {
    let net = Routed::new();
    net.between.nft(&passing("tcp dport 11113 reject with tcp reset"));
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let listener = listen(&net.peer, CLUSTER_AT);
    turned_away(&net.host, CLUSTER_AT, PATIENCE);
    let said = daemon.verdict(CLUSTER, "refused", Some("remote-refused"));
    let peer = &said.evidence.peers[0];
    assert_eq!((peer.transmitted.syn, peer.received.rst), (1, 1));
    drop(listener);
}

#[test]
fn firewall_in_between_forgets_idle_sessions() {
    let net = Routed::new();
    forget_soon(&net.between, "forward", false);
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let agent = Talk::with_agent(&net, 30_001);
    let cluster = Talk::with_cluster(&net, 30_002);
    cluster.falls_silent();
    agent.falls_silent();
    daemon.verdict(CLUSTER, "ok", None);
    // The host sends, once as the server and once as the client.
    (&agent.host).write_all(&[2; 100]).unwrap();
    (&cluster.host).write_all(&[2; 200]).unwrap();
    for (flow, own, bytes) in [(AGENT, AGENT_AT.port(), 100), (CLUSTER, 30_002, 200)] {
        let (said, session) = stuck(&daemon, flow, "session-interrupted");
        assert!(session.quiet_seconds >= 10, "{session:?}");
        assert!(session.retransmissions >= 3, "{session:?}");
        assert_eq!((session.local.port(), session.unacknowledged), (own, bytes));
        assert_eq!(said.since, session.since);
        assert_eq!(said.evidence.failing[0].dropped.len(), 0);
    }
    golden("firewall-in-between-forgets-idle-sessions", &daemon.status().1);
    // Where it lets them pass, the next retransmission is answered.
    net.between.nft("");
    for flow in [AGENT, CLUSTER] {
        until("the session to go on", STUCK, || match flow.find(&daemon.report()) {
            said if said.verdict == "ok" => Ok(()),
            said => Err(said.verdict.clone()),
        });
    }
}

#[test]
fn receiving_end_of_a_forgotten_session_says_nothing() {
    let net = Routed::new();
    forget_soon(&net.between, "forward", false);
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let talk = Talk::with_agent(&net, 30_001);
    talk.falls_silent();
    (&talk.peer).write_all(&[2; 100]).unwrap();
    until("retransmissions of the peer", DEADLINE, || {
        if net.between.nft_counter("blocked") > 3 { Ok(()) } else { Err(()) }
    });
    daemon.verdict(AGENT, "ok", None);
}

#[test]
fn firewall_in_between_takes_up_sessions_that_it_forgot() {
    let net = Routed::new();
    forget_soon(&net.between, "forward", true);
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let talk = Talk::with_cluster(&net, 30_001);
    talk.falls_silent();
    talk.exchange();
    daemon.verdict(CLUSTER, "ok", None);
    assert_eq!(net.between.nft_counter("blocked"), 0);
}

#[test]
fn own_firewall_forgets_idle_sessions() {
    let net = Routed::new();
    forget_soon(&net.host, "input", false);
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let agent = Talk::with_agent(&net, 30_001);
    let cluster = Talk::with_cluster(&net, 30_002);
    agent.falls_silent();
    cluster.falls_silent();
    // What the peer sends to the agent is dropped, and so is what it answers to the host.
    (&agent.peer).write_all(&[2; 100]).unwrap();
    (&cluster.host).write_all(&[2; 100]).unwrap();
    for (flow, remote, sends) in [(AGENT, 30_001, false), (CLUSTER, CLUSTER_AT.port(), true)] {
        let (said, session) = stuck(&daemon, flow, "session-interrupted");
        assert!(session.quiet_seconds >= 10, "{session:?}");
        assert_eq!((session.remote.port(), session.retransmissions > 0), (remote, sends));
        assert!(session.dropped_here);
        let [drop] = said.evidence.failing[0].dropped.as_slice() else { panic!("{said:#?}") };
        assert_eq!((&*drop.reason, drop.received), ("NETFILTER_DROP", true));
        assert!(drop.packets >= 3, "{drop:?}");
    }
    golden("own-firewall-forgets-idle-sessions", &daemon.status().1);
    // That the program gives its session up fixes nothing. Another session that works does.
    drop(agent);
    let said = daemon.settles("the end of the session", |report| {
        let failing = &AGENT.find(report).evidence.failing;
        match failing.first() {
            Some(failing) if !failing.sessions[0].open => Ok(()),
            _ => Err(format!("{failing:?}")),
        }
    });
    assert_eq!(AGENT.find(&said).verdict, "degraded");
    let next = Talk::with_agent(&net, 30_003);
    daemon.verdict(AGENT, "ok", None);
    drop(next);
}

#[test]
fn full_segments_vanish_where_small_ones_pass() {
    let net = Routed::new();
    net.between.ip("link set eth1 mtu 1000");
    net.between.nft(
        "counter blocked {}\nchain c {\ntype filter hook output priority 0\n\
         icmp type destination-unreachable counter name blocked drop\n}",
    );
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let talk = Talk::with_cluster(&net, 30_001);
    (&talk.host).write_all(&vec![2; 50_000]).unwrap();
    let (_, session) = stuck(&daemon, CLUSTER, "stalled");
    golden("full-segments-vanish-where-small-ones-pass", &daemon.status().1);
    assert_eq!((session.mss, session.quiet_seconds), (1448, 0));
    assert!(session.unacknowledged >= 10 * session.mss, "{session:?}");
    assert!(net.between.nft_counter("blocked") >= 4);
}

#[test]
fn peer_falls_silent_in_the_middle_of_a_talk() {
    let net = Routed::new();
    let daemon = Daemon::start(&net.host, config::SQL_SERVER);
    let talk = Talk::with_cluster(&net, 30_001);
    // Full segments have passed before.
    (&talk.host).write_all(&vec![2; 50_000]).unwrap();
    (&talk.peer).read_exact(&mut vec![0; 50_000]).unwrap();
    talk.exchange();
    net.between.nft(&passing("drop"));
    (&talk.host).write_all(&vec![2; 50_000]).unwrap();
    let (_, session) = stuck(&daemon, CLUSTER, "no-answer");
    assert_eq!(session.quiet_seconds, 0);
    golden("peer-falls-silent-in-the-middle-of-a-talk", &daemon.status().1);
}
