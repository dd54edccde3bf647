//! Metrics that are pushed from where the engine cannot scrape.

use serde_json::json;
use tests::{Daemon, HOST4, Monitoring, MonitoringFiles, Pair, turned_away, until, wall_clock};

use super::{PATIENCE, SOON, at, files, fire, told};
use crate::deploy::text;

/// Only what is served on 50051 is expected.
const CONFIG: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["host"]
sections = ["agent_communication"]
peers.cluster = ["10.20.0.0/24"]
"#;

/// What `docs/fleet.md` says that an agent's `prometheus.yml` has, with an engine that asks for nothing.
fn agent(scraped: &str) -> String {
    let page = text("docs/fleet.md");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("remote_write:")).unwrap();
    let is_asked = |line: &&str| !line.contains("tls_config") && !line.contains("basic_auth");
    let plain = block.lines().filter(is_asked).collect::<Vec<_>>().join("\n");
    for (old, _) in REPLACED {
        assert!(plain.contains(old), "{old} in\n{plain}");
    }
    let here = REPLACED.iter().fold(plain, |text, (old, new)| text.replace(old, new));
    let (_, scrape_configs) = scraped.split_once("scrape_configs:").unwrap();
    format!("{here}\nscrape_configs:{scrape_configs}")
}

const REPLACED: &[(&str, &str)] = &[
    ("https://metrics.example.com/api/v1/write", "http://127.0.0.1:9090/api/v1/write"),
    ("scrape_interval: 30s", "scrape_interval: 1s"),
];

#[test]
fn what_an_agent_pushes_fires_where_the_rules_are() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, CONFIG);
    let scraping = MonitoringFiles {
        hosts: json!([{ "targets": ["127.0.0.1:10150"] }]).to_string(),
        ..files()
    };
    let (receiving, _) = scraping.prometheus.split_once("scrape_configs:").unwrap();
    let monitoring = Monitoring::start(
        &pair.host,
        &MonitoringFiles {
            prometheus: receiving.to_owned(),
            agent: Some(agent(&scraping.prometheus)),
            ..scraping.clone()
        },
    );
    let gives = |query: &str, wanted: usize| {
        until(query, SOON, || {
            let now = wall_clock().as_second();
            let found = monitoring.query_since(query, now, now);
            if found.len() == wanted { Ok(()) } else { Err(found) }
        });
    };
    gives(r#"up{job="backupflow", instance="127.0.0.1", site="fra"} == 1"#, 1);
    let expectations = daemon.report().expectations.len();
    gives(r#"backupflow_expectation_verdict{site="fra"} == 1"#, expectations);

    turned_away(&pair.peer, at(HOST4, 50051), PATIENCE);
    let labels = json!({
        "alertname": "BackupflowFlowRefused",
        "severity": "critical",
        "job": "backupflow",
        "instance": "127.0.0.1",
        "site": "fra",
        "system": "ibm-backup-recovery",
        "product": "ibm-backup-recovery",
        "flow": "agent-50051",
        "side": "server",
        "peer_group": "cluster",
        "verdict": "refused",
        "cause": "no-listener",
        "requirement": "required",
    });
    let alert = told(&monitoring, "firing", &labels);
    assert_eq!(
        alert["annotations"]["summary"],
        "127.0.0.1: agent-50051 of ibm-backup-recovery is refused (no-listener): 10.20.0.2"
    );
    // The agent writes what it fails to scrape, too.
    daemon.kill();
    fire(&monitoring, &["BackupflowDown"]);
}
