//! What is said of a flow, and why.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use jiff::SignedDuration;
use tests::{
    AGENT, CLUSTER, Daemon, Flow, GUEST4, HOST4, Open, PEER4, Pair, Unexpected, at, config, golden,
    listen, turned_away, wall_clock,
};

const SMB: Flow<'_> = Flow("mssql-smb-445", "client", "cluster");

/// Long enough for several retransmissions of a SYN, and for the daemon to give an attempt up.
const PATIENCE: Duration = Duration::from_millis(4500);

fn works(pair: &Pair, daemon: &Daemon<'_>, flow: Flow<'_>) {
    let before = wall_clock();
    let open = if flow.1 == "server" {
        Open::new(&pair.peer, &listen(&pair.host, at(HOST4, 50051)), at(HOST4, 50051))
    } else {
        Open::new(&pair.host, &listen(&pair.peer, at(PEER4, 11113)), at(PEER4, 11113))
    };
    open.send(1000, 1000);
    open.close();
    let said = daemon.verdict(flow, "ok", None);
    // The kernel's ticks are up to 10 ms long.
    assert!(said.last_success.unwrap() > before - SignedDuration::from_millis(100), "{said:#?}");
    assert_eq!(said.evidence.failing_total, 0);
    assert_eq!(said.evidence.reason, None);
}

/// Waits until that many segments count as failed attempts: the last ones still have a moment to be
/// answered.
fn attempted(daemon: &Daemon<'_>, flow: Flow<'_>, attempts: u64) {
    daemon.settles("the attempts", |report| {
        let failing = &flow.find(report).evidence.failing;
        match failing.first() {
            Some(failing) if failing.attempts == attempts => Ok(()),
            _ => Err(format!("{failing:?}, expected {attempts}")),
        }
    });
}

#[test]
fn idle_until_somebody_tries_and_ok_from_then_on() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    for flow in [AGENT, CLUSTER, SMB] {
        let said = daemon.verdict(flow, "idle", None);
        assert_eq!((said.last_seen, said.last_success), (None, None));
    }
    works(&pair, &daemon, AGENT);
    works(&pair, &daemon, CLUSTER);
    daemon.verdict(SMB, "idle", None);
    let (code, text) = daemon.status();
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn missing_when_presence_is_due_and_unknown_until_then() {
    let config = format!(
        "{}\n[[system.expect]]\nflow = \"agent-50051\"\nwithin = \"3s\"\n\
         [[system.expect]]\nflow = \"mssql-vdi-*\"\nwithin = \"1h\"\n",
        config::SQL_SERVER,
    );
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, &config);
    let first = AGENT.find(&daemon.report()).clone();
    assert_eq!(first.verdict, "unknown", "{first:#?}");
    let said = daemon.verdict(CLUSTER, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("watched for less than 1h"));
    daemon.verdict(AGENT, "missing", Some("never-connected"));
    let (code, text) = daemon.status();
    assert_eq!(code, Some(1), "{text}");
    golden("nobody-tried-although-it-is-due", &text);

    let open = Open::new(&pair.peer, &listen(&pair.host, at(HOST4, 50051)), at(HOST4, 50051));
    open.send(1000, 1000);
    tests::until("ok", tests::DEADLINE, || {
        let said = AGENT.find(&daemon.report()).clone();
        if said.verdict == "ok" { Ok(()) } else { Err(Box::new(said)) }
    });
    drop(open);
    // Three seconds later nothing has been seen for too long.
    daemon.verdict(AGENT, "missing", Some("never-connected"));
}

/// What is said of a connection that nothing expects, every packet of which is counted.
fn unexpected(daemon: &Daemon<'_>, open: Open) -> Unexpected {
    open.send(1000, 1000);
    let sent = open.close();
    let mut report = daemon.settles("an unexpected flow", |report| match report.unexpected_total {
        1 => Ok(()),
        other => Err(other.to_string()),
    });
    let stranger = report.unexpected.remove(0);
    let (received, transmitted) = (stranger.received.packets, stranger.transmitted.packets);
    let (up, down) = match &*stranger.side {
        "server" => (received, transmitted),
        _ => (transmitted, received),
    };
    assert_eq!((up, down), (sent.up, sent.down));
    stranger
}

#[test]
fn stranger_at_a_service_is_unexpected() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let here = at(IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1)), 50051);
    let open = Open::new(&pair.peer, &listen(&pair.host, here), here);
    let stranger = unexpected(&daemon, open);
    assert_eq!(
        (&*stranger.flow, &*stranger.side, &*stranger.cause),
        ("agent-50051", "server", "unexpected-peer")
    );
    assert_eq!((&stranger.peer, stranger.port), (&GUEST4.to_string(), 50051));
    // It is nobody's success.
    daemon.verdict(AGENT, "idle", None);
    let (code, text) = daemon.status();
    assert_eq!(code, Some(1), "{text}");
    golden("stranger-at-a-service", &text);
}

#[test]
fn wrong_direction_is_unexpected() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let there = at(PEER4, 50051);
    let open = Open::new(&pair.host, &listen(&pair.peer, there), there);
    let stranger = unexpected(&daemon, open);
    assert_eq!(
        (&*stranger.flow, &*stranger.side, &*stranger.cause),
        ("agent-50051", "client", "unexpected-direction")
    );
    daemon.verdict(AGENT, "idle", None);
    golden("wrong-direction", &daemon.status().1);
}

#[test]
fn legacy_port_is_recognised() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::CLOUD_AGENT);
    let here = at(HOST4, 808);
    let open = Open::new(&pair.peer, &listen(&pair.host, here), here);
    let stranger = unexpected(&daemon, open);
    assert_eq!(
        (&*stranger.flow, &*stranger.side, &*stranger.cause),
        ("agent-808", "server", "legacy-port")
    );
    let report = daemon.report();
    assert!(report.expectations.iter().all(|expectation| expectation.flow != "agent-808"));
    golden("legacy-port", &daemon.status().1);
}

#[test]
fn blocked_by_the_hosts_firewall_until_it_is_fixed() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.host.nft(
        "counter blocked {}\nchain in {\ntype filter hook input priority 0\n\
         tcp dport 50051 counter name blocked drop\n}",
    );
    let listener = listen(&pair.host, at(HOST4, 50051));
    let before = wall_clock();
    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let attempts = pair.host.nft_counter("blocked");
    assert!(attempts >= 3, "{attempts}");
    attempted(&daemon, AGENT, attempts);
    let said = daemon.verdict(AGENT, "blocked", Some("local-firewall-in"));
    let [failing] = said.evidence.failing.as_slice() else {
        panic!("{said:#?}");
    };
    assert_eq!((&failing.address, failing.port), (&PEER4.to_string(), 50051));
    assert_eq!(failing.attempts, attempts);
    assert_eq!(failing.interface.as_deref(), Some("eth0"));
    assert!(failing.since >= before - SignedDuration::from_millis(100), "{failing:?}");
    assert!(failing.since <= before + SignedDuration::from_millis(1500), "{failing:?}");
    assert_eq!(said.since, failing.since);
    let peer = &said.evidence.peers[0];
    assert_eq!((peer.received.syn, peer.received.packets), (attempts, attempts));
    assert_eq!(peer.transmitted.packets, 0);
    let (code, text) = daemon.status();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("BLOCKED"), "{text}");

    pair.host.nft("");
    drop(listener);
    works(&pair, &daemon, AGENT);
}

#[test]
fn blocked_beyond_the_host_until_it_is_fixed() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    pair.peer.nft(
        "counter blocked {}\nchain in {\ntype filter hook input priority 0\n\
         tcp dport 11113 counter name blocked drop\n}",
    );
    let listener = listen(&pair.peer, at(PEER4, 11113));
    turned_away(&pair.host, at(PEER4, 11113), PATIENCE);
    let attempts = pair.peer.nft_counter("blocked");
    assert!(attempts >= 3, "{attempts}");
    attempted(&daemon, CLUSTER, attempts);
    let said = daemon.verdict(CLUSTER, "blocked", Some("no-answer"));
    assert_eq!(said.evidence.failing.len(), 1);
    assert_eq!(said.evidence.failing[0].attempts, attempts);
    let peer = &said.evidence.peers[0];
    assert_eq!((peer.transmitted.syn, peer.transmitted.packets), (attempts, attempts));
    assert_eq!(peer.received.packets, 0);
    golden("blocked-beyond-the-host", &daemon.status().1);
    pair.peer.nft("");
    drop(listener);
    works(&pair, &daemon, CLUSTER);
}

#[test]
fn refused_until_it_is_fixed() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    // One after the other: what is older is said first.
    for (flow, from, to, cause) in [
        (AGENT, &pair.peer, at(HOST4, 50051), "no-listener"),
        (CLUSTER, &pair.host, at(PEER4, 11113), "remote-refused"),
    ] {
        turned_away(from, to, PATIENCE);
        let said = daemon.verdict(flow, "refused", Some(cause));
        assert_eq!(said.evidence.failing_total, 1);
        assert_eq!(said.evidence.failing[0].attempts, 1);
    }
    golden("refused-by-this-host-and-by-the-peer", &daemon.status().1);
    works(&pair, &daemon, AGENT);
    works(&pair, &daemon, CLUSTER);
}
