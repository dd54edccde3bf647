//! What users and other programs read, compared with files that were looked at.
//!
//! `BLESS=1` writes the files anew: look at the difference.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fmt::Write as _, path::Path};

use jiff::tz::TimeZone;
use monitor::{
    report::{Report, text},
    serve::{Refusal, Reload, WebState, metrics},
};

fn sample() -> Report {
    serde_json::from_str(include_str!("golden/report.json")).unwrap()
}

fn reload(report: &Report, faults: Option<String>) -> Reload {
    Reload { pid: 1, reloads: 1, faults, last_success: report.started }
}

fn metrics(report: &Report, reload: &Reload) -> String {
    let mut web = WebState::default();
    web.certificate_expires = Some(report.taken);
    web.refuse(Refusal::Password);
    let mut text = Vec::new();
    metrics::write(&mut text, report, reload, &web).unwrap();
    String::from_utf8(text).unwrap()
}

fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    blessed::compare(&path, text, "cargo test -p monitor --test golden");
}

#[test]
fn status_reads_like_advice() {
    compare("tests/golden/status.txt", &text::render(&sample(), &TimeZone::UTC, 80));
}

#[test]
fn metrics_are_these() {
    let report = sample();
    let reload = reload(&report, Some("a fault".to_owned()));
    let text = metrics(&report, &reload);
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("backupflow_")).collect();
    compare("tests/golden/metrics.txt", &format!("{}\n", ours.join("\n")));
    assert!(text.contains("process_resident_memory_bytes"));
}

#[test]
fn every_metric_of_the_table_is_in_the_sample() {
    let report = sample();
    let reload = reload(&report, None);
    let text = metrics(&report, &reload);
    for (name, ..) in metrics::METRICS {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[test]
fn documented_metrics_are_these() {
    let mut table = String::from(
        "# Metrics\n\nMade from the daemon's own table. Series of flows carry the labels `system`, `product`, \
         `flow`, `side` and `peer_group`; those of peers also `peer`, which is the peer as the config lists it, \
         or `other`. \
         An `address` is a single machine's: such series are at most 8 for each failing expectation, and \
         for each cause for which a flow is unexpected. Those of probes carry `peer` and `port`.\n\n| name | type | help |\n|---|---|---|\n",
    );
    for (name, kind, help) in metrics::METRICS {
        let kind = format!("{kind:?}").to_lowercase();
        writeln!(table, "| `{name}` | {kind} | {help} |").unwrap();
    }
    compare("../docs/metrics.md", &table);
}

#[test]
fn report_has_this_schema() {
    let schema = schemars::schema_for!(Report);
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    compare("../docs/report.schema.json", &text);
}

#[test]
fn report_survives_json() {
    let report = sample();
    let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&report).unwrap());
}
