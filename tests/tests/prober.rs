//! The daemon's own probes: what they find, and that they are told from the traffic of backups.

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use tests::{
    Daemon, Flow, HOST4, Open, PEER4, PEER6, Pair, at, attempt, connect_from, listen, series,
    turned_away, until,
};

const SYSTEM: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.2", "fd00:20::2", "10.30.0.0/24", "br.example"]

[[system.expect]]
flow = "agent-*"
within = "never"

[[system.expect]]
flow = "mssql-vdi-11117"
within = "2s"
"#;

/// A round takes as long as the slowest attempt.
const ROUND: Duration = Duration::from_secs(25);

const HOSTS: (&str, &str) = ("hosts", "127.0.0.1 localhost\n10.20.0.2 br.example\n");

/// Their rounds are far apart: each test has the first one only, and those after a reload.
fn probing() -> String {
    format!("{SYSTEM}[probe]\nevery = \"1h\"\n")
}

/// Success of what was tried, by flow, peer and port.
fn successes(metrics: &str) -> BTreeMap<String, f64> {
    let label = |series: &str, label: &str| {
        let from = series.split_once(&format!("{label}=\"")).unwrap().1;
        from.split_once('"').unwrap().0.to_owned()
    };
    let probes = series(metrics, "backupflow_probe_success", &[("side", "client")]);
    let short = |(series, value): (String, f64)| {
        let words = ["flow", "peer", "port"].map(|name| label(&series, name));
        (words.join(" "), value)
    };
    probes.into_iter().map(short).collect()
}

/// The metrics after the first round that ended after this time, in seconds since 1970.
fn round(daemon: &Daemon<'_>, after: f64) -> (String, f64) {
    until("a round of probes", ROUND, || {
        let metrics = daemon.metrics();
        let ended = series(&metrics, "backupflow_probe_last_timestamp_seconds", &[]);
        match ended.first() {
            Some((_, ended)) if *ended > after => Ok((metrics, *ended)),
            other => Err(format!("{other:?}")),
        }
    })
}

/// Nothing of it is in the counts, and no verdict rests on it.
fn is_untouched(daemon: &Daemon<'_>) {
    let report = daemon.next_report();
    assert_eq!(report.unexpected_total, 0, "{:#?}", report.unexpected);
    assert_eq!(report.flow_map.entries, 0);
    assert_eq!(report.loss.values().sum::<u64>(), 0, "{:?}", report.loss);
    for expectation in report.expectations {
        let evidence = &expectation.evidence;
        assert!(
            ["idle", "missing", "unknown"].contains(&expectation.verdict.as_str()),
            "{expectation:#?}"
        );
        assert_eq!((expectation.last_seen, expectation.last_success), (None, None));
        assert_eq!(evidence.outcomes.values().sum::<u64>(), 0, "{expectation:#?}");
        assert_eq!(evidence.dropped.values().sum::<u64>(), 0, "{expectation:#?}");
        assert_eq!((evidence.retransmitted, evidence.failing_total), (0, 0), "{expectation:#?}");
        assert_eq!(evidence.icmp.received.len() + evidence.icmp.transmitted.len(), 0);
    }
}

/// Takes the connection of a probe, and gives where it came from.
fn taken(service: &TcpListener) -> SocketAddr {
    let (mut stream, from) = service.accept().unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "it is closed at once, and says nothing");
    from
}

#[test]
fn what_probes_find_is_told_and_nothing_else_is() {
    let pair = Pair::new();
    pair.peer.nft("chain in {\ntype filter hook input priority 0\ntcp dport 11113 drop\n}");
    let [service, service6] = [PEER4, PEER6].map(|peer| listen(&pair.peer, at(peer, 11117)));
    let daemon = Daemon::start_with_etc(&pair.host, &probing(), &[HOSTS]);
    let (metrics, ended) = round(&daemon, 0.0);
    let wanted = [
        ("grpc-11117", "11117", 1.0),
        ("mssql-smb-445", "445", 0.0),
        ("mssql-vdi-11113", "11113", 0.0),
        ("mssql-vdi-11117", "11117", 1.0),
    ];
    let wanted = wanted.into_iter().flat_map(|(flow, port, good)| {
        [("10.20.0.2", good), ("fd00:20::2", good), ("br.example", good)]
            .map(|(peer, good)| (format!("{flow} {peer} {port}"), good))
    });
    assert_eq!(successes(&metrics), wanted.collect());
    for (series, seconds) in series(&metrics, "backupflow_probe_duration_seconds", &[]) {
        // What is dropped takes as long as a probe waits, and all else is in the same machine.
        let is_dropped = series.contains("11113");
        assert_eq!((5.0..6.0).contains(&seconds), is_dropped, "{series} {seconds}");
    }
    // Two flows use the port, one address has a name too, and each was tried once.
    let [from, from6] = [&service, &service6].map(taken);
    assert_eq!(from.port(), from6.port());
    for service in [&service, &service6] {
        service.set_nonblocking(true).unwrap();
        service.accept().unwrap_err();
    }
    // It worked, and it is no backup: the flow that is due is missing all the same.
    let due = Flow("mssql-vdi-11117", "client", "cluster");
    daemon.verdict(due, "missing", Some("never-connected"));
    is_untouched(&daemon);

    // The port is the daemon's own. A peer that happens to use the same one is counted.
    let agent = listen(&pair.host, at(HOST4, 50051));
    let client = connect_from(&pair.peer, at(PEER4, from.port()), at(HOST4, 50051));
    Open::of(client, &agent).send(10, 10);
    daemon.verdict(Flow("agent-50051", "server", "cluster"), "ok", None);
    // And so is what another program opens, and what it fails to open.
    service.set_nonblocking(false).unwrap();
    Open::new(&pair.host, &service, at(PEER4, 11117)).send(10, 10);
    turned_away(&pair.host, at(PEER4, 445), ROUND);
    let smb = Flow("mssql-smb-445", "client", "cluster");
    let said = daemon.verdict(smb, "refused", Some("remote-refused"));
    assert_eq!(said.evidence.failing[0].attempts, 1);

    daemon.reload(SYSTEM);
    until("no series of probes", ROUND, || {
        let metrics = daemon.metrics();
        let left: Vec<&str> = metrics.lines().filter(|line| line.contains("_probe_")).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
    service.set_nonblocking(true).unwrap();
    service.accept().unwrap_err();
    daemon.reload(&probing());
    let (metrics, _) = round(&daemon, ended);
    assert_eq!(successes(&metrics).len(), 12);
}

#[test]
fn what_this_host_stops_itself_is_no_discrepancy_of_a_backup() {
    let pair = Pair::new();
    pair.host.nft(
        "chain out {\ntype filter hook output priority 0\ntcp dport 11113 drop\n\
         tcp dport 11117 reject with icmpx admin-prohibited\n}",
    );
    let daemon = Daemon::start_with_etc(&pair.host, &probing(), &[HOSTS]);
    let (metrics, _) = round(&daemon, 0.0);
    let successes = successes(&metrics);
    assert_eq!(successes.len(), 12);
    assert!(successes.values().all(|good| *good < 0.5), "{successes:?}");
    is_untouched(&daemon);
    // The same by another program is one.
    let failed = attempt(&pair.host, at(PEER4, 445), ROUND);
    assert!(failed.is_err(), "{failed:?}");
    let smb = Flow("mssql-smb-445", "client", "cluster");
    daemon.verdict(smb, "refused", Some("remote-refused"));
}
