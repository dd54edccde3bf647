//! What stops a flow at this host besides its firewall on the way in and out, and what it is called.

use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{
    self, Backlog, SockFlag, SockType, SockaddrLike as _, SockaddrStorage, sockopt,
};
use tests::{
    AGENT, CLUSTER, Daemon, HOST4, Obstacle, PEER4, Pair, UnifiedCgroup, at, attempt, config,
    listen, turned_away,
};

use crate::causes::{PATIENCE, dropped};

/// After one attempt of this host at the cluster that ends in vain: the cause, the reason of the drops, and
/// how many. They are this host's own.
fn own_drops(pair: &Pair, daemon: &Daemon<'_>, cause: &str) -> (String, u64) {
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let said = daemon.verdict(CLUSTER, "blocked", Some(cause));
    let (reason, received, packets) = dropped(&said);
    assert!(!received, "{said:#?}");
    (reason.to_owned(), packets)
}

#[test]
fn firewall_drops_what_this_host_sends_at_the_device() {
    let pair = Pair::new();
    pair.host.nftables(
        "table netdev t {\nchain c {\ntype filter hook egress device eth0 priority 0\n\
         tcp dport 11113 drop\n}\n}\n",
    );
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let (reason, packets) = own_drops(&pair, &daemon, "local-firewall-out");
    assert!(packets >= 2, "{packets}");
    assert_eq!(reason, "NETFILTER_DROP");
}

#[test]
fn another_program_drops_what_this_host_sends() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _other = Obstacle::at_egress(&pair.host, "eth0");
    assert_eq!(own_drops(&pair, &daemon, "tc-drop").0, "TC_EGRESS");
}

#[test]
fn queue_drops_what_this_host_sends() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.host.tc("qdisc replace dev eth0 root tbf rate 8bit burst 60 limit 10");
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE * 3);
    let said = daemon.verdict(CLUSTER, "blocked", Some("qdisc-drop"));
    let (reason, received, packets) = dropped(&said);
    assert_eq!((reason, received), ("QDISC_DROP", false));
    assert_eq!(said.evidence.peers[0].transmitted.syn, packets, "{said:#?}");
}

#[test]
fn program_at_xdp_drops() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST4, 50051));
    let _other = Obstacle::at_xdp(&pair.host, "eth0");
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let said = daemon.verdict(AGENT, "blocked", Some("xdp-drop"));
    let (reason, received, packets) = dropped(&said);
    assert_eq!((reason, received), ("XDP", true));
    assert_eq!(said.evidence.failing[0].attempts, packets, "{said:#?}");
}

#[test]
fn program_at_xdp_is_not_blamed_for_what_tcp_drops_without_a_reason() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST4, 50051));
    let _other = Obstacle::none_at_xdp(&pair.host, "eth0");
    // The peer asks again and again, since it never gets the answer.
    pair.peer.nft("chain c {\ntype filter hook prerouting priority -300\ntcp sport 50051 drop\n}");
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE * 3);
    let said = daemon.verdict(AGENT, "blocked", Some("no-answer"));
    let unnamed = said.evidence.dropped["NOT_SPECIFIED"];
    assert!(unnamed >= 2, "{said:#?}");
    assert_eq!(said.evidence.dropped.len(), 1, "{said:#?}");
}

#[test]
fn ipsec_policy_blocks_what_this_host_asks_for() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.peer, at(PEER4, 11113));
    let policy = "src 10.20.0.1 dst 10.20.0.2 proto tcp dport 11113 dir out";
    pair.host.ip(&format!("xfrm policy add {policy} action block"));
    for _ in 0..3 {
        assert_eq!(
            attempt(&pair.host, at(PEER4, 11113), PATIENCE).unwrap_err().raw_os_error(),
            Some(1)
        );
    }
    daemon.settles("three attempts", |report| {
        match CLUSTER.find(report).evidence.failing.as_slice() {
            [failing] if failing.attempts == 3 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    let said = daemon.verdict(CLUSTER, "blocked", Some("ipsec-policy"));
    assert_eq!(said.evidence.failing[0].error.as_deref(), Some("an IPsec policy blocks it"));
}

/// A client of this host in a cgroup of its own.
fn connect_in(pair: &Pair, cgroup: &UnifiedCgroup) {
    let procs = cgroup.0.join("cgroup.procs");
    let connect = format!(
        "echo $$ > {}; timeout 2 bash -c 'exec 3<>/dev/tcp/10.20.0.2/11113' && echo connected; true",
        procs.display()
    );
    let said = pair.host.run("bash", &["-c", &connect]);
    assert!(!said.contains("connected"), "{said}");
}

#[test]
fn program_at_a_cgroup_forbids_to_connect() {
    let pair = Pair::new();
    let cgroup = UnifiedCgroup::new("backupflow-test-connect");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.peer, at(PEER4, 11113));
    let forbidden = Obstacle::to_connecting(&cgroup.0);
    connect_in(&pair, &cgroup);
    let said = daemon.verdict(CLUSTER, "blocked", Some("forbidden-here"));
    let [failing] = said.evidence.failing.as_slice() else { panic!("{said:#?}") };
    assert_eq!(failing.attempts, 1);
    assert_eq!(failing.error.as_deref(), Some("a program at its cgroup forbids it"));
    drop(forbidden);
}

#[test]
fn program_at_a_cgroup_forbids_to_send() {
    let pair = Pair::new();
    let cgroup = UnifiedCgroup::new("backupflow-test-send");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.peer, at(PEER4, 11113));
    let forbidden = Obstacle::to_sending(&cgroup.0);
    connect_in(&pair, &cgroup);
    let said = daemon.verdict(CLUSTER, "blocked", Some("forbidden-here"));
    let (reason, received, _) = dropped(&said);
    assert_eq!((reason, received), ("BPF_CGROUP_EGRESS", false));
    drop(forbidden);
}

/// A listener on every address of one family, with something that keeps peers away.
fn listen_but(pair: &Pair, address: IpAddr, narrow: impl Fn(&OwnedFd) + Sync) -> OwnedFd {
    pair.host.inside(|| {
        let address = SockaddrStorage::from(at(address, 50051));
        let family = address.family().unwrap();
        let socket = socket::socket(family, SockType::Stream, SockFlag::empty(), None).unwrap();
        socket::setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        narrow(&socket);
        socket::bind(socket.as_raw_fd(), &address).unwrap();
        socket::listen(&socket, Backlog::new(8).unwrap()).unwrap();
        socket
    })
}

fn only_ipv6(socket: &OwnedFd, only: bool) {
    socket::setsockopt(socket, sockopt::Ipv6V6Only, &only).unwrap();
}

#[test]
fn service_that_listens_by_ipv6_only_has_the_wrong_address() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let listener = listen_but(&pair, Ipv6Addr::UNSPECIFIED.into(), |it| only_ipv6(it, true));
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    daemon.verdict(AGENT, "refused", Some("wrong-bind"));
    // It is no longer the one: what listens now would take the next attempt.
    drop(listener);
    let _both = listen_but(&pair, Ipv6Addr::UNSPECIFIED.into(), |it| only_ipv6(it, false));
    daemon.verdict(AGENT, "refused", Some("listens-again"));
    drop(attempt(&pair.peer, at(HOST4, 50051), PATIENCE).unwrap());
}

#[test]
fn service_that_listens_on_another_device_has_the_wrong_one() {
    let pair = Pair::new();
    pair.host.ip("link add other type bridge\nlink set other up");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let everywhere = IpAddr::from([0, 0, 0, 0]);
    let _listener = listen_but(&pair, everywhere, |it| {
        socket::setsockopt(it, sockopt::BindToDevice, &"other".into()).unwrap();
    });
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    daemon.verdict(AGENT, "refused", Some("wrong-bind"));
}

#[test]
fn service_that_was_away_for_an_attempt_has_no_wrong_address() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let listener = listen(&pair.host, at(HOST4, 50051));
    daemon.verdict(AGENT, "refused", Some("listens-again"));
    drop(listener);
    daemon.verdict(AGENT, "refused", Some("no-listener"));
}

#[test]
fn answers_have_the_route_of_their_own_address() {
    let pair = Pair::new();
    for interface in ["all", "eth0"] {
        pair.host.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"), "0");
    }
    pair.host.ip("route del 10.20.0.0/24\nroute add 10.20.0.0/24 dev eth0 table 100\n\
         rule add from 10.20.0.1 lookup 100");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let _listener = listen(&pair.host, at(HOST4, 50051));
    drop(attempt(&pair.peer, at(HOST4, 50051), PATIENCE).unwrap());
    pair.host.nft("chain c {\ntype filter hook output priority 0\ntcp sport 50051 drop\n}");
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE * 3);
    let said = daemon.verdict(AGENT, "blocked", Some("local-firewall-out"));
    let route = said.evidence.failing[0].route.as_ref().unwrap();
    assert_eq!((route.error.as_deref(), route.interface.as_deref()), (None, Some("eth0")));
}
