//! The shipped rules and dashboards on a real Prometheus and Alertmanager, which scrape the real daemon.

mod failures;
mod monitor;
mod pictures;
mod remote_write;
mod traffic;

use std::{collections::BTreeSet, net::SocketAddr, thread, time::Duration};

use serde_json::{Value, json};
use tests::{
    AGENT, Daemon, GUEST4, HOST4, Monitoring, MonitoringFiles, Open, PEER4, Pair, at,
    dns::{DnsServer, RESOLV_CONF, Says},
    listen, turned_away, until, wall_clock,
};

use self::{
    failures::{Interrupted, every_other_failure_fires},
    monitor::{
        LACKING, daemon_that_hangs_is_told, daemon_that_is_gone_silences_its_flows,
        monitor_that_lacks_something_says_so,
    },
    traffic::beside_backups,
};
use crate::deploy::{queries, text};

/// Long enough for several retransmissions of a SYN, and for the daemon to give an attempt up.
const PATIENCE: Duration = Duration::from_millis(4500);

/// A scrape, an evaluation, an alert's second, a group's second, and a machine with other work.
const SOON: Duration = Duration::from_secs(30);

/// Something is expected of everything that a rule is for.
const MANY: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.0/24", "br.example.com"]

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
peers.portal = ["10.20.0.0/24", "10.20.0.2"]
peers.central-control = ["10.20.0.0/24", "nobody.invalid"]

[web]
listen = "0.0.0.0:10150"

[probe]
every = "1m"
"#;

/// The other end of some of it.
const CLUSTER: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["cluster"]
sections = ["ms_sql_servers", "agent_communication"]
peers.ms-sql-server = ["10.20.0.0/24"]
peers.host = ["10.20.0.0/24"]

[web]
listen = "0.0.0.0:10150"
"#;

/// How Prometheus calls the host.
const HOST: &str = "10.20.0.1";

/// Stands for a peer of the cluster.
const NAME: &str = "br.example.com";

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
        Some(("expr", query)) => format!("        expr: {}\n", query.replace("> 120", "> 5")),
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
        hosts: json!([{ "targets": ["10.20.0.1:10150", "10.20.0.2:10150"] }]).to_string(),
        agent: None,
    }
}

fn names(alerts: &[Value]) -> BTreeSet<String> {
    alerts.iter().map(|labels| labels["alertname"].as_str().unwrap().to_owned()).collect()
}

/// Waits until all of these fire.
fn fire(monitoring: &Monitoring<'_>, wanted: &[&str]) {
    fire_within(monitoring, wanted, SOON);
}

fn fire_within(monitoring: &Monitoring<'_>, wanted: &[&str], patience: Duration) {
    until(&format!("{wanted:?} to fire"), patience, || {
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
    let dns = DnsServer::start(&pair.host);
    dns.says(NAME, Says::Addresses(vec![GUEST4]));
    let etc = [("hosts", "127.0.0.1 localhost\n"), ("resolv.conf", RESOLV_CONF)];
    let daemon = Daemon::start_with_etc(&pair.host, MANY, &etc);
    let cluster = Daemon::start(&pair.peer, CLUSTER);
    let session = Interrupted::open(&pair);
    let monitoring = Monitoring::start(&pair.host, &files());
    // Prometheus looks at its list of hosts a few seconds after its start.
    until("the first scrapes", SOON, || {
        let now = wall_clock().as_second();
        match monitoring.query_since("up == 1", now, now).len() {
            2 => Ok(()),
            other => Err(other),
        }
    });

    beside_backups(&pair, || {
        blocked_is_told_until_it_is_fixed(&pair, &daemon, &monitoring);
        every_other_failure_fires(&pair, &daemon, &monitoring, &dns);
        session.breaks(&monitoring);
        daemon_that_hangs_is_told(&daemon, &monitoring);
        pictures::draw(&pair.host, start, wall_clock().as_second());
    });
    daemon_that_is_gone_silences_its_flows(daemon, &monitoring);

    let daemon = Daemon::start(&pair.host, LACKING);
    monitor_that_lacks_something_says_so(&pair, &daemon, &monitoring);
    drop(cluster);
    monitoring.write_hosts("[]");
    fire(&monitoring, &["BackupflowAbsent"]);

    let end = wall_clock().as_second();
    let rules = monitoring.rules();
    assert!(rules.len() >= 20, "{rules:?}");
    let empty: Vec<(String, String)> = rules
        .into_iter()
        .chain(queries(HOST, "agent-50051"))
        .filter(|(_, query)| monitoring.query_since(query, start, end).is_empty())
        .collect();
    assert_eq!(empty, [], "queries that never gave anything");
}

fn blocked_is_told_until_it_is_fixed(
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
        "instance": HOST,
        "system": "ibm-backup-recovery",
        "product": "ibm-backup-recovery",
        "flow": "agent-50051",
        "side": "server",
        "peer_group": "cluster",
        "verdict": "blocked",
        "requirement": "required",
        "cause": "local-firewall-in",
    });
    let alert = told(monitoring, "firing", &labels);
    assert_eq!(alert["receiver"], "on-call");
    let annotations = &alert["annotations"];
    assert_eq!(
        annotations["summary"],
        "10.20.0.1: agent-50051 of ibm-backup-recovery is blocked (local-firewall-in): 10.20.0.2"
    );
    let since = said.since.strftime("since %Y-%m-%d %H:%M:%S").to_string();
    let description = annotations["description"].as_str().unwrap();
    assert!(description.contains(&format!("has had no answer {since}")), "{description}");
    let peer = said.evidence.failing[0].since.strftime("since %Y-%m-%d %H:%M:%S").to_string();
    let peer = format!("required by the document; with 10.20.0.2 (port 50051/tcp) {peer}");
    assert!(description.contains(&peer), "{description}");
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
