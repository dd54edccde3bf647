//! The shipped rules and dashboards on a real Prometheus and Alertmanager, which scrape the real daemon.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    Daemon, Flow, HOST4, Monitoring, MonitoringFiles, Open, PEER4, Pair, RawSocket,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    listen, turned_away, udp_socket, until, wall_clock,
};

use crate::deploy::{queries, text};

const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");
const SCANNED: Flow<'_> = Flow("scan-32006", "server", "client");

/// The host's own address among machines that no config lists.
const AMONG_GUESTS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// Long enough for several retransmissions of a SYN, and for the daemon to give an attempt up.
const PATIENCE: Duration = Duration::from_millis(4500);

/// A scrape, an evaluation, an alert's second, a group's second, and a machine with other work.
const SOON: Duration = Duration::from_secs(30);

/// Something is expected of everything that a rule is for.
const MANY: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.0/24"]

[[system.expect]]
flow = "mssql-smb-*"
within = "3s"

[[system]]
product = "gigavault-storage"
roles = ["server"]
options = ["ssl"]
peers.client = ["10.20.0.0/24"]
ports.backup-ssl-32007 = 32107

[[system]]
product = "ibm-cloud-backup"
roles = ["agent"]
scenario = "commercial"
peers.portal = ["10.20.0.0/24"]
peers.central-control = ["10.20.0.0/24", "nobody.invalid"]
"#;

/// A monitor that lacks a hook, and room.
const LACKING: &str = r#"
[[system]]
product = "gigavault-storage"
roles = ["server"]
sections = ["udp_port_32006", "tcp_port_32004"]
peers.client = ["10.20.0.0/24"]

[kernel]
flows = 16
disable = ["retransmit"]
"#;

/// Alerts whose cases need what cannot be made here in a short time: they have `promtool`'s tests only.
const ONLY_IN_PROMTOOL: [&str; 3] =
    ["BackupflowAddressChanged", "BackupflowNotCounting", "BackupflowSessionInterrupted"];

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// The shipped files with paths of the test, and with seconds in place of minutes.
fn files() -> MonitoringFiles {
    let replaced = |file: &str, replacements: &[(&str, &str)]| {
        replacements.iter().fold(text(&format!("deploy/prometheus/{file}")), |text, (old, new)| {
            assert!(text.contains(old), "{file} has no {old}");
            text.replace(old, new)
        })
    };
    let rules = text("deploy/prometheus/backupflow.rules.yml");
    let shortened = rules.lines().map(|line| match line.trim().split_once(": ") {
        Some(("interval", _)) => "    interval: 1s\n".to_owned(),
        Some(("for", _)) => "        for: 1s\n".to_owned(),
        Some(("keep_firing_for", _)) => "        keep_firing_for: 8s\n".to_owned(),
        _ => format!("{line}\n"),
    });
    MonitoringFiles {
        prometheus: replaced(
            "prometheus.example.yml",
            &[
                ("interval: 30s", "interval: 1s"),
                ("/etc/prometheus/backupflow.rules.yml", "backupflow.rules.yml"),
                ("/etc/prometheus/backupflow/*.json", "hosts.json"),
            ],
        ),
        rules: shortened.collect(),
        alertmanager: replaced(
            "alertmanager.example.yml",
            &[("group_wait: 30s", "group_wait: 1s"), ("group_interval: 5m", "group_interval: 1s")],
        ),
        hosts: json!([{ "targets": ["127.0.0.1:10150"] }]).to_string(),
    }
}

fn names(alerts: &[Value]) -> BTreeSet<String> {
    alerts.iter().map(|labels| labels["alertname"].as_str().unwrap().to_owned()).collect()
}

/// Waits until all of these fire.
fn fire(monitoring: &Monitoring<'_>, wanted: &[&str]) {
    until(&format!("{wanted:?} to fire"), SOON, || {
        let firing = names(&monitoring.firing());
        if wanted.iter().all(|alert| firing.contains(*alert)) { Ok(()) } else { Err(firing) }
    });
}

/// Waits for a notification, and gives it.
fn told(monitoring: &Monitoring<'_>, status: &str, labels: &Value) -> Value {
    until(&format!("{status} of {labels}"), SOON, || {
        let alerts = monitoring.notified();
        let is_meant = |alert: &&Value| alert["status"] == status && alert["labels"] == *labels;
        alerts.iter().find(is_meant).cloned().ok_or(alerts)
    })
}

/// Talks to a service, so that bytes flow both ways.
fn talk(pair: &Pair, to: SocketAddr) {
    let (client, server) =
        if to.ip() == PEER4 { (&pair.host, &pair.peer) } else { (&pair.peer, &pair.host) };
    let open = Open::new(client, &listen(server, to), to);
    open.send(20_000, 10_000);
    open.close();
}

#[test]
fn what_fails_is_told_and_seen_on_every_panel() {
    let start = wall_clock().as_second();
    let pair = Pair::new();
    let daemon = Daemon::start_with_etc(&pair.host, MANY, &[("hosts", "127.0.0.1 localhost\n")]);
    let monitoring = Monitoring::start(&pair.host, &files());
    // Prometheus looks at its list of hosts a few seconds after its start.
    until("the first scrape", SOON, || {
        let now = wall_clock().as_second();
        if monitoring.query_since("up == 1", now, now).is_empty() { Err(()) } else { Ok(()) }
    });

    blocked_is_told_until_it_is_mended(&pair, &daemon, &monitoring);
    every_other_failure_fires(&pair, &daemon, &monitoring);
    daemon_that_is_gone_silences_its_flows(daemon, &monitoring);

    let daemon = Daemon::start(&pair.host, LACKING);
    monitor_that_lacks_something_says_so(&pair, &daemon, &monitoring);
    monitoring.write_hosts("[]");
    fire(&monitoring, &["BackupflowAbsent"]);

    let end = wall_clock().as_second();
    let mut rules = monitoring.rules();
    assert!(rules.len() >= 20, "{rules:?}");
    rules.retain(|(name, _)| !ONLY_IN_PROMTOOL.contains(&name.as_str()));
    let dashboards = queries("127.0.0.1", "agent-50051");
    let empty: Vec<(String, String)> = rules
        .into_iter()
        .chain(dashboards)
        .filter(|(_, query)| monitoring.query_since(query, start, end).is_empty())
        .collect();
    assert_eq!(empty, [], "queries that never gave anything");
}

fn blocked_is_told_until_it_is_mended(
    pair: &Pair,
    daemon: &Daemon<'_>,
    monitoring: &Monitoring<'_>,
) {
    let drop =
        |port| format!("chain in {{\ntype filter hook input priority 0\ntcp dport {port} drop\n}}");
    pair.host.nft(&drop(50051));
    pair.peer.nft(&drop(11113));
    thread::scope(|scope| {
        scope.spawn(|| turned_away(&pair.peer, at(HOST4, 50051), PATIENCE));
        scope.spawn(|| turned_away(&pair.host, at(PEER4, 11113), PATIENCE));
    });
    let said = daemon.verdict(AGENT, "blocked", Some("local-firewall-in"));
    let labels = json!({
        "alertname": "BackupflowFlowBlocked",
        "severity": "critical",
        "job": "backupflow",
        "instance": "127.0.0.1",
        "system": "ibm-backup-recovery",
        "product": "ibm-backup-recovery",
        "flow": "agent-50051",
        "side": "server",
        "peer_group": "cluster",
        "verdict": "blocked",
        "cause": "local-firewall-in",
    });
    let alert = told(monitoring, "firing", &labels);
    assert_eq!(alert["receiver"], "on-call");
    let annotations = &alert["annotations"];
    assert_eq!(
        annotations["summary"],
        "127.0.0.1: agent-50051 of ibm-backup-recovery is blocked (local-firewall-in)"
    );
    let since = said.since.strftime("since %Y-%m-%d %H:%M:%S").to_string();
    assert!(annotations["description"].as_str().unwrap().contains(&since), "{annotations:#}");
    assert_eq!(
        annotations["runbook_url"],
        "https://runbooks.example.com/backupflow/local-firewall-in.md"
    );

    pair.host.nft("");
    pair.peer.nft("");
    talk(pair, at(HOST4, 50051));
    talk(pair, at(PEER4, 11113));
    daemon.verdict(AGENT, "ok", None);
    told(monitoring, "resolved", &labels);
}

fn every_other_failure_fires(pair: &Pair, daemon: &Daemon<'_>, monitoring: &Monitoring<'_>) {
    turned_away(&pair.peer, at(HOST4, 32005), PATIENCE);
    for unexpected in [
        at(AMONG_GUESTS, 50051),
        at(PEER4, 50051),
        at(HOST4, 808),
        at(HOST4, 32004),
        at(HOST4, 32007),
    ] {
        talk(pair, unexpected);
    }
    daemon.reload("[[system]]\n");
    fire(
        monitoring,
        &[
            "BackupflowConfigReloadFailed",
            "BackupflowFlowMissing",
            "BackupflowFlowRefused",
            "BackupflowLegacyPort",
            "BackupflowNameUnresolved",
            "BackupflowPlaintextPort",
            "BackupflowPortMoved",
            "BackupflowUnexpectedDirection",
            "BackupflowUnexpectedPeer",
        ],
    );
}

fn daemon_that_is_gone_silences_its_flows(daemon: Daemon<'_>, monitoring: &Monitoring<'_>) {
    const FLOW: &str = "BackupflowFlowRefused";
    daemon.kill();
    fire(monitoring, &["BackupflowDown", FLOW]);
    until("the host's alerts to be silenced", SOON, || {
        let inhibited = names(&monitoring.inhibited());
        if inhibited.contains(FLOW) { Ok(()) } else { Err(inhibited) }
    });
    // The series of the flows have ended: nothing is mended, and nobody is told so.
    until("the flows' alerts to end", SOON, || {
        let left = [names(&monitoring.firing()), names(&monitoring.inhibited())];
        if left.iter().any(|alerts| alerts.contains(FLOW)) { Err(left) } else { Ok(()) }
    });
    let notified = monitoring.notified();
    let is_of = |alert: &&Value, name: &str| alert["labels"]["alertname"] == name;
    assert!(notified.iter().any(|alert| is_of(&alert, "BackupflowDown")), "{notified:#?}");
    let ended: Vec<&Value> = notified
        .iter()
        .filter(|alert| is_of(alert, FLOW) && alert["status"] == "resolved")
        .collect();
    assert_eq!(ended, [&Value::Null; 0]);
}

fn monitor_that_lacks_something_says_so(
    pair: &Pair,
    daemon: &Daemon<'_>,
    monitoring: &Monitoring<'_>,
) {
    let service = udp_socket(&pair.host, at(HOST4, 32006));
    let scanner = udp_socket(&pair.peer, at(PEER4, 0));
    for _ in 0..2000 {
        scanner.send_to(&[0; 1024], at(HOST4, 32006)).unwrap();
    }
    daemon.verdict(SCANNED, "degraded", Some("receive-buffer-full"));
    drop(service);
    let raw = RawSocket::new(&pair.peer, "eth0");
    for last in 101..=130 {
        let from = Ipv4Addr::new(10, 20, 0, last);
        let packet =
            ipv4(from, Ipv4Addr::new(10, 20, 0, 1), TCP, 0, 0, &tcp(40000, 32004, SYN, &[]));
        raw.send(&ethernet(&[], IPV4, &packet));
    }
    fire(
        monitoring,
        &[
            "BackupflowCountsLost",
            "BackupflowFlowDegraded",
            "BackupflowHookDetached",
            "BackupflowMapNearlyFull",
        ],
    );
}
