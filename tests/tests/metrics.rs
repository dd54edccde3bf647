//! What Prometheus reads.

use std::{collections::BTreeMap, net::SocketAddr};

use tests::{
    DEADLINE, Daemon, Flow, HOST4, Open, Pair, Response, command, config, listen, series,
    turned_away, until,
};

/// The wire and the sockets.
const LAYERS: usize = 2;

const VERDICTS: usize = 7;

#[test]
fn promtool_has_no_complaint() {
    let pair = Pair::new();
    let config = [config::SQL_SERVER, config::BACKUP_SERVER, config::CLOUD_AGENT].concat();
    let daemon = Daemon::start(&pair.host, &config);
    // Failures, strangers and losses have metrics of their own.
    turned_away(&pair.peer, SocketAddr::new(HOST4, 50051), DEADLINE);
    let at = SocketAddr::new(HOST4, 808);
    let open = Open::new(&pair.peer, &listen(&pair.host, at), at);
    open.send(10, 10);
    open.close();
    daemon.verdict(Flow("agent-50051", "server", "cluster"), "refused", Some("no-listener"));
    let metrics = daemon.metrics();
    for metric in ["backupflow_discrepancy", "backupflow_unexpected_flows"] {
        assert_eq!(series(&metrics, metric, &[]).len(), 1, "{metric}");
    }
    let output = command::feed("promtool", &["check", "metrics"], &metrics);
    let (stdout, stderr) = command::text(&output);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_expectation_is_there_from_the_first_scrape() {
    let pair = Pair::new();
    let daemon = Daemon::launch(&pair.host, config::SQL_SERVER, &[]);
    let first = until("the first scrape", DEADLINE * 3, || match daemon.ask("/metrics", "") {
        Ok(response @ Response { status: 200, .. }) => Ok(response.text()),
        other => Err(format!("{other:?}")),
    });
    let of = |metric: &str| series(&first, metric, &[]);
    let expectations = daemon.report().expectations;
    assert_eq!(expectations.len(), 6);
    assert_eq!(of("backupflow_expectation_verdict").len(), expectations.len() * VERDICTS);
    let peers: usize =
        expectations.iter().map(|expectation| expectation.evidence.peers.len()).sum();
    assert_eq!(peers, 11);
    for metric in [
        "backupflow_flow_receive_packets_total",
        "backupflow_flow_receive_bytes_total",
        "backupflow_flow_transmit_packets_total",
        "backupflow_flow_transmit_bytes_total",
    ] {
        assert_eq!(of(metric).len(), peers * LAYERS, "{metric}");
    }
    assert_eq!(of("backupflow_flow_last_seen_timestamp_seconds").len(), peers);
    for expectation in expectations {
        let labels = [
            ("system", expectation.system.as_str()),
            ("product", &expectation.product),
            ("flow", &expectation.flow),
            ("side", &expectation.side),
            ("peer_group", &expectation.peer_group),
        ];
        let verdicts = series(&first, "backupflow_expectation_verdict", &labels);
        let mut values: Vec<f64> = verdicts.into_iter().map(|(_, value)| value).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}

#[test]
fn counters_never_fall() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let at = SocketAddr::new(HOST4, 50051);
    let listener = listen(&pair.host, at);
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    let mut drains = Vec::new();
    for _ in 0..5 {
        let open = Open::new(&pair.peer, &listener, at);
        open.send(100_000, 100_000);
        open.close();
        drains.push(daemon.next_report().taken);
        let metrics = daemon.metrics();
        let now: BTreeMap<String, f64> = metrics
            .lines()
            .filter(|line| line.starts_with("backupflow_"))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next().unwrap().ends_with("_total"))
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
            .collect();
        for (series, value) in &before {
            assert!(now.get(series) >= Some(value), "{series} was {value}: {now:#?}");
        }
        assert!(before.is_empty() || now != before, "nothing counted");
        before = now;
    }
    drains.dedup();
    assert_eq!(drains.len(), 5);
}

#[test]
fn compressed_when_asked() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let asked = daemon.ask("/metrics", "Accept-Encoding: gzip\r\n").unwrap();
    assert!(asked.head.contains("content-encoding: gzip"), "{}", asked.head);
    let plain = daemon.ask("/metrics", "").unwrap();
    assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    let inflated = asked.inflated();
    assert!(asked.body.len() * 2 < inflated.len());
    let names = |text: &str| -> Vec<String> {
        let names = text.lines().filter(|line| line.starts_with("backupflow_"));
        names.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(names(&inflated), names(&plain.text()));
    assert!(!names(&inflated).is_empty());
}

#[test]
fn last_success_is_a_series_once_there_is_one() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let metric = "backupflow_expectation_last_success_timestamp_seconds";
    assert_eq!(daemon.series(metric, &[]), []);
    let at = SocketAddr::new(HOST4, 50051);
    Open::new(&pair.peer, &listen(&pair.host, at), at).close();
    let worked = daemon.verdict(tests::AGENT, "ok", None).last_success.unwrap();
    let series = daemon.series(metric, &[("flow", "agent-50051"), ("side", "server")]);
    assert_eq!(series.len(), 1, "{series:?}");
    assert!((series[0].1 - worked.as_duration().as_secs_f64()).abs() < 0.1, "{series:?} {worked}");
}
