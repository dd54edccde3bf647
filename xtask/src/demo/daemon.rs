//! The real daemon on the demo's backup host.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::network::{HOST, enter, program_in};
use crate::{
    command::{end_group, target},
    stop::Stop,
};

/// Only root writes here, and nothing of it outlives a restart.
const FOLDER: &str = "/run/backupflow-demo";

const ADDRESS: &str = "127.0.0.1:10150";

/// How often a start is looked at, and how many times at most.
const EVERY: Duration = Duration::from_millis(200);
const PATIENCE: u32 = 300;

const CONFIG: &str = r#"[[system]]
product = "ibm-cloud-backup"
roles = ["agent"]
scenario = "commercial"
sections = ["portinfo"]
peers.portal = ["10.20.0.20"]
peers.central-control = ["10.20.0.21"]
peers.amp-proxy = ["10.20.0.20"]

[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "host"]
sections = ["ms_sql_servers", "agent_communication"]
peers.cluster = ["10.20.0.20"]

[[system]]
product = "gigavault-storage"
roles = ["server"]
sections = ["tcp_port_32004"]
peers.client = ["10.30.0.0/24"]

[[system]]
product = "arctera-dlo"
roles = ["dlo-dedupe-server"]
scenario = "non-boi"
peers.dlo-client = ["10.30.0.0/24"]
peers.dlo-administration-console = ["10.30.0.99"]

[web]
listen = "127.0.0.1:10150"

[status]
socket = "/run/backupflow-demo/status.sock"

# The demo leaves nothing behind.
[kernel]
pin = "/proc/nowhere"

[state]
file = "/run/backupflow-demo/state.json"
"#;

/// What is said of one expectation.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) flow: String,
    pub(crate) side: String,
    pub(crate) verdict: String,
}

/// The running daemon. It ends with the value.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    folder: Folder,
}

/// Where its config and its log are. It goes with the value.
#[derive(Debug)]
struct Folder;

impl Folder {
    fn create() -> anyhow::Result<Self> {
        fs::create_dir_all(FOLDER).context(FOLDER)?;
        let folder = Self;
        fs::write(config(), CONFIG).context(FOLDER)?;
        Ok(folder)
    }

    #[expect(clippy::unused_self, reason = "there is a log only while there is the folder")]
    fn log(&self) -> String {
        fs::read_to_string(log()).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(FOLDER));
    }
}

fn config() -> PathBuf {
    Path::new(FOLDER).join("config.toml")
}

fn log() -> PathBuf {
    Path::new(FOLDER).join("log")
}

/// A command of backupflow with the demo's config.
fn words(command: &str) -> [String; 4] {
    let binary = target().join("release/backupflow");
    let [binary, config] = [binary, config()].map(|path| path.display().to_string());
    [binary, command.to_owned(), "--config".to_owned(), config]
}

/// The command that asks the daemon.
pub(crate) fn status_words() -> [String; 4] {
    words("status")
}

impl Daemon {
    /// Starts it and waits until it watches.
    pub(crate) fn start(stop: &Stop) -> anyhow::Result<Self> {
        let folder = Folder::create()?;
        let child = program_in(HOST, &words("run").each_ref().map(String::as_str))
            .stderr(fs::File::create(log()).context(FOLDER)?)
            .spawn()
            .context("starting backupflow")?;
        let mut daemon = Self { child, folder };
        for _ in 0..PATIENCE {
            stop.check()?;
            if !daemon.verdicts()?.is_empty() {
                return Ok(daemon);
            }
            stop.pause(EVERY);
        }
        bail!("backupflow does not answer; its log:\n{}", daemon.log())
    }

    /// What the report says now; nothing while there is none.
    pub(crate) fn verdicts(&mut self) -> anyhow::Result<Vec<Said>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("backupflow ended with {status}; its log:\n{}", self.log());
        }
        let words = status_words();
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain(["--format", "json"]).collect();
        let answer = program_in(HOST, &words).output()?;
        // Before the first report the answer is no JSON.
        Ok(said(&serde_json::from_slice(&answer.stdout).unwrap_or_default()))
    }

    /// Shows what users see.
    pub(crate) fn show(&self) -> anyhow::Result<()> {
        println!("\nThis is what `backupflow status` says on the backup host:\n");
        let status = program_in(HOST, &status_words().each_ref().map(String::as_str)).status()?;
        if status.code() != Some(1) {
            bail!(
                "it ended with {status}, and not with 1 as for a discrepancy; its log:\n{}",
                self.log()
            );
        }
        let url = format!("http://{ADDRESS}/metrics");
        println!("Prometheus scrapes {url} there; two of its lines on the blocked flow:\n");
        let metrics = program_in(HOST, &["curl", "--silent", "--fail", &url]).output()?;
        let metrics = String::from_utf8_lossy(&metrics.stdout);
        let lines: Vec<&str> = metrics.lines().filter(|line| is_worth_showing(line)).collect();
        if lines.is_empty() {
            bail!("{url} says nothing of the blocked flow");
        }
        println!("{}\n", lines.join("\n"));
        println!("To see all of them, while the demo is kept running by --keep:");
        println!("  {} curl --silent {url}", enter(HOST).join(" "));
        Ok(())
    }

    /// What the daemon wrote to standard error.
    pub(crate) fn log(&self) -> String {
        self.folder.log()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end_group(&mut self.child);
    }
}

/// The expectations of a report.
fn said(report: &Value) -> Vec<Said> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let expectations = report.get("expectations").and_then(Value::as_array);
    expectations
        .into_iter()
        .flatten()
        .map(|expectation| Said {
            flow: text(&expectation["flow"]),
            side: text(&expectation["side"]),
            verdict: text(&expectation["verdict"]),
        })
        .collect()
}

fn is_worth_showing(line: &str) -> bool {
    let metrics = ["backupflow_discrepancy{", "backupflow_flow_receive_packets_total{"];
    metrics.iter().any(|metric| line.starts_with(metric))
        && line.contains("flow=\"agent-50051\"")
        && !line.contains("peer=\"other\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let report = r#"{"expectations": [{"flow": "a", "side": "server", "verdict": "ok"}]}"#;
        let said_of = |text: &str| said(&serde_json::from_str(text).unwrap_or_default());
        let [Said { flow, side, verdict }] = &said_of(report)[..] else {
            panic!("not one expectation");
        };
        assert_eq!((flow.as_str(), side.as_str(), verdict.as_str()), ("a", "server", "ok"));
        assert!(said_of("no JSON").is_empty());
        assert!(said_of("{}").is_empty());
    }

    #[test]
    fn metrics_of_the_blocked_flow_are_shown() {
        assert!(is_worth_showing("backupflow_discrepancy{flow=\"agent-50051\"} 1"));
        assert!(!is_worth_showing("backupflow_discrepancy{flow=\"agent-2548\"} 1"));
        assert!(!is_worth_showing("# TYPE backupflow_discrepancy{flow=\"agent-50051\"}"));
    }
}
