//! Failures that are open when the daemon is started again.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;
use tests::{
    AGENT, Bpffs, CLUSTER, DEADLINE, Daemon, Directory, HOST4, Open, PEER4, Pair, at, config,
    listen, turned_away,
};

const AT: SocketAddr = SocketAddr::new(HOST4, 50051);

/// What is said of the flow: verdict, cause, since when, and of its one peer that fails since when, when last and how
/// many attempts.
fn said(daemon: &Daemon<'_>) -> (String, Option<String>, Timestamp, Timestamp, Timestamp, u64) {
    let report = daemon.next_report();
    let said = AGENT.find(&report).clone();
    let [failing] = &said.evidence.failing[..] else { panic!("{said:#?}") };
    let (since, last) = (failing.since, failing.last);
    (said.verdict, said.cause, said.since, since, last, failing.attempts)
}

/// The daemon is stopped and killed in turns, each time right after the last thing was said.
fn stays_refused(pair: &Pair, config: &str) {
    let mut daemon = Daemon::start(&pair.host, config);
    Open::new(&pair.peer, &listen(&pair.host, AT), AT).close();
    daemon.verdict(AGENT, "ok", None);
    for _ in 0..3 {
        turned_away(&pair.peer, AT, DEADLINE);
    }
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let (verdict, cause, since, first, last, attempts) = said(&daemon);
    assert_eq!(attempts, 3);
    for run in 0..6 {
        if run % 2 == 0 {
            daemon.kill();
        } else {
            assert!(daemon.stop().0.success());
        }
        daemon = Daemon::start(&pair.host, config);
        let now = said(&daemon);
        // Pinned times are those of the kernel's timer.
        let is_close = |one: Timestamp, other: Timestamp| {
            one.duration_since(other).abs() <= jiff::SignedDuration::from_millis(50)
        };
        assert_eq!((&now.0, &now.1, now.2), (&verdict, &cause, since), "run {run}");
        assert!(is_close(now.3, first) && is_close(now.4, last), "run {run}: {now:?}");
        assert_eq!(now.5, attempts, "run {run}");
    }
    turned_away(&pair.peer, AT, DEADLINE);
    daemon.settles("another refused attempt", |report| {
        let attempts = AGENT.find(report).evidence.failing.first().map(|failing| failing.attempts);
        if attempts == Some(4) { Ok(()) } else { Err(format!("{attempts:?}")) }
    });
    Open::new(&pair.peer, &listen(&pair.host, AT), AT).close();
    daemon.verdict(AGENT, "ok", None);
    drop(daemon);
    // What is over stays over.
    let daemon = Daemon::start(&pair.host, config);
    daemon.verdict(AGENT, "ok", None);
}

#[test]
fn refused_stays_refused_with_pinned_counts() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let directory = Directory::new(&pair.host);
    stays_refused(&pair, &directory.keeping(&bpffs.config(1024)));
}

#[test]
fn refused_stays_refused_where_counts_begin_afresh() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    stays_refused(&pair, &directory.keeping(config::SQL_SERVER));
}

#[test]
fn firewall_stays_the_cause_until_it_is_opened() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    let config = directory.keeping(config::SQL_SERVER);
    let listener = listen(&pair.peer, at(PEER4, 11113));
    let daemon = Daemon::start(&pair.host, &config);
    pair.host.nft("chain out {\ntype filter hook output priority 0\ntcp dport 11113 drop\n}");
    turned_away(&pair.host, at(PEER4, 11113), Duration::from_millis(500));
    let before = daemon.verdict(CLUSTER, "blocked", Some("local-firewall-out"));
    daemon.kill();
    let daemon = Daemon::start(&pair.host, &config);
    let after = daemon.verdict(CLUSTER, "blocked", Some("local-firewall-out"));
    assert_eq!((after.since, after.evidence.dropped), (before.since, before.evidence.dropped));
    pair.host.nft("");
    Open::new(&pair.host, &listener, at(PEER4, 11113)).close();
    daemon.verdict(CLUSTER, "ok", None);
}

#[test]
fn agent_that_comes_back_while_the_daemon_is_down_listens_again() {
    let pair = Pair::new();
    let directory = Directory::new(&pair.host);
    let config = directory.keeping(config::SQL_SERVER);
    let daemon = Daemon::start(&pair.host, &config);
    turned_away(&pair.peer, AT, DEADLINE);
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    assert!(daemon.stop().0.success());
    let _elsewhere = listen(&pair.host, at(Ipv4Addr::LOCALHOST.into(), 50051));
    let daemon = Daemon::start(&pair.host, &config);
    // It began to listen later.
    daemon.verdict(AGENT, "refused", Some("no-listener"));
    let _again = listen(&pair.host, AT);
    daemon.verdict(AGENT, "refused", Some("listens-again"));
}
