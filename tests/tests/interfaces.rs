//! Interfaces come and go, and others work at them too.

use std::net::SocketAddr;

use jiff::SignedDuration;
use tests::{
    AGENT, Daemon, Exchange, ForeignProgram, HOST4, Namespace, Open, PEER4, Pair, Wire, config,
    listen,
    net::{HOST_MAC, PEER_MAC, join, neighbours},
    segments, tcx_programs, wall_clock,
};

const V4: u64 = 14 + 20;
const UP: u64 = 400_000;
const DOWN: u64 = 30_000;

/// A connection from the peer to the host's agent.
fn agent(host: &Namespace, peer: &Namespace) -> Exchange {
    let at = SocketAddr::new(HOST4, 50051);
    let open = Open::new(peer, &listen(host, at), at);
    open.send(usize::try_from(UP).unwrap(), usize::try_from(DOWN).unwrap());
    open.close()
}

fn counts(daemon: &Daemon<'_>, sent: Exchange) {
    daemon.counts(AGENT, segments(sent.up, UP, V4), segments(sent.down, DOWN, V4));
}

#[test]
fn interface_that_comes_is_watched_within_a_second_and_forgotten_when_it_goes() {
    let (host, peer) = (Namespace::new("host"), Namespace::new("peer"));
    let daemon = Daemon::start(&host, config::SQL_SERVER);
    assert_eq!(daemon.report().watched(), ["lo"]);

    join(&host, "late0", HOST_MAC, &peer, "eth0", PEER_MAC);
    let made = wall_clock();
    host.ip(&format!(
        "address add 10.20.0.1/24 dev late0\n{}",
        neighbours("late0", PEER_MAC, &[PEER4])
    ));
    peer.ip(&format!(
        "address add 10.20.0.2/24 dev eth0\n{}",
        neighbours("eth0", HOST_MAC, &[HOST4])
    ));
    let report = daemon.settles("the new interface", |report| {
        let watched = report.watched();
        if watched == ["late0", "lo"] { Ok(()) } else { Err(format!("{watched:?}")) }
    });
    for hook in report.coverage.iter().filter(|hook| hook.interface.as_deref() == Some("late0")) {
        let after = hook.since.duration_since(made);
        assert!(after < SignedDuration::from_secs(1), "{hook:?} after {after:?}");
    }
    let attached = |interface| {
        daemon
            .series("backupflow_hook_attached", &[("interface", interface)])
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    assert_eq!(attached("late0"), [1.0, 1.0]);
    let sent = agent(&host, &peer);
    counts(&daemon, sent);

    host.ip("link del late0");
    daemon.settles("the interface's end", |report| {
        let watched = report.watched();
        if watched == ["lo"] { Ok(()) } else { Err(format!("{watched:?}")) }
    });
    assert!(attached("late0").is_empty());
    // What was counted stays.
    counts(&daemon, sent);
}

/// A filter of somebody else: it copies what comes in to a bridge without ports, where the daemon
/// does not count.
fn add_foreign(host: &Namespace) {
    host.ip("link add sink type bridge mcast_snooping 0\n\
             link set sink addrgenmode none\n\
             link set sink up");
    host.tc("filter add dev eth0 ingress protocol all prio 10 u32 match u32 0 0 \
         action mirred egress mirror dev sink");
}

/// What the action of that filter has seen.
fn foreign_packets(host: &Namespace) -> u64 {
    let text = host.tc("-s filter show dev eth0 ingress");
    let sent = text.split("Sent ").nth(1).unwrap_or_else(|| panic!("no action: {text}"));
    sent.split(' ').nth(2).unwrap().parse().unwrap()
}

fn qdiscs(host: &Namespace) -> usize {
    host.tc("qdisc show dev eth0").lines().filter(|line| line.contains("clsact")).count()
}

fn filters(host: &Namespace) -> usize {
    ["ingress", "egress"]
        .map(|hook| host.tc(&format!("filter show dev eth0 {hook}")))
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.contains("not_in_hw"))
        .count()
}

#[test]
fn programs_and_filters_of_others_go_on() {
    for mode in ["tcx", "clsact"] {
        let pair = Pair::without_offloads();
        pair.host.tc("qdisc add dev eth0 clsact");
        add_foreign(&pair.host);
        let program = ForeignProgram::attach(&pair.host, "eth0");
        let seen = |before: (u64, u64)| {
            let now = (program.packets(), foreign_packets(&pair.host));
            (now.0 - before.0, now.1 - before.1)
        };
        let crossed = |before: Wire| pair.host.counted("eth0").received.since(before).packets;
        let start = (seen((0, 0)), pair.host.counted("eth0").received);
        agent(&pair.host, &pair.peer);
        let packets = crossed(start.1);
        assert_eq!(seen(start.0), (packets, packets), "{mode}: before");

        let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", mode]);
        let start = (seen((0, 0)), pair.host.counted("eth0").received);
        let sent = agent(&pair.host, &pair.peer);
        assert_eq!(crossed(start.1), sent.up);
        assert_eq!(seen(start.0), (sent.up, sent.up), "{mode}: beside");
        counts(&daemon, sent);
        let (status, log) = daemon.stop();
        assert!(status.success(), "{log}");

        let start = (seen((0, 0)), pair.host.counted("eth0").received);
        agent(&pair.host, &pair.peer);
        let packets = crossed(start.1);
        assert_eq!(seen(start.0), (packets, packets), "{mode}: after");
        assert_eq!((qdiscs(&pair.host), filters(&pair.host)), (1, 1), "{mode}");
        assert_eq!(tcx_programs(&pair.host, "eth0"), (1, 0), "{mode}");
    }
}

#[test]
fn links_go_with_the_daemon() {
    let pair = Pair::new();
    assert_eq!(tcx_programs(&pair.host, "eth0"), (0, 0));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    assert_eq!(tcx_programs(&pair.host, "eth0"), (1, 1));
    assert_eq!(tcx_programs(&pair.host, "lo"), (1, 0));
    assert_eq!(qdiscs(&pair.host), 0);
    daemon.kill();
    // The kernel takes links away when the last process that holds them has ended.
    tests::until("the links' end", tests::DEADLINE, || {
        match (tcx_programs(&pair.host, "eth0"), tcx_programs(&pair.host, "lo")) {
            ((0, 0), (0, 0)) => Ok(()),
            other => Err(other),
        }
    });
}

#[test]
fn clsact_counts_once_and_leaves_nothing() {
    let pair = Pair::new();
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    assert_eq!((qdiscs(&pair.host), filters(&pair.host)), (1, 2));
    assert_eq!(tcx_programs(&pair.host, "eth0"), (0, 0));
    let sent = agent(&pair.host, &pair.peer);
    counts(&daemon, sent);
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(qdiscs(&pair.host), 0);
    assert_eq!(pair.host.tc("qdisc show dev lo").matches("clsact").count(), 0);
}

#[test]
fn clsact_of_others_stays() {
    let pair = Pair::new();
    pair.host.tc("qdisc add dev eth0 clsact");
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    // At `lo` the daemon made it, and somebody else began to use it.
    pair.host.tc("filter add dev lo egress protocol all prio 10 u32 match u32 0 0 flowid 1:1");
    daemon.stop();
    assert_eq!((qdiscs(&pair.host), filters(&pair.host)), (1, 0));
    assert_eq!(pair.host.tc("qdisc show dev lo").matches("clsact").count(), 1);
    assert_eq!(pair.host.tc("filter show dev lo egress").matches("not_in_hw").count(), 1);
    assert_eq!(pair.host.tc("filter show dev lo ingress"), "");
}

#[test]
fn filter_of_a_killed_daemon_is_replaced() {
    let pair = Pair::new();
    let clsact = ["--attach", "clsact"];
    Daemon::start_with(&pair.host, config::SQL_SERVER, &clsact).kill();
    assert_eq!((qdiscs(&pair.host), filters(&pair.host)), (1, 2));
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &clsact);
    assert_eq!((qdiscs(&pair.host), filters(&pair.host)), (1, 2));
    let sent = agent(&pair.host, &pair.peer);
    counts(&daemon, sent);
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert_eq!(filters(&pair.host), 0);
}

#[test]
fn filter_of_a_killed_daemon_does_not_count_beside_a_link() {
    let pair = Pair::new();
    let clsact = ["--attach", "clsact"];
    Daemon::start_with(&pair.host, config::SQL_SERVER, &clsact).kill();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    assert_eq!((tcx_programs(&pair.host, "eth0"), filters(&pair.host)), ((1, 1), 0));
    let sent = agent(&pair.host, &pair.peer);
    counts(&daemon, sent);
}
