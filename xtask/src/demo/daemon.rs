//! The real daemon on the demo's backup host.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Stop, network::HOST};
use crate::command::{program, target};

const ADDRESS: &str = "127.0.0.1:10150";

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
    folder: PathBuf,
}

fn binary() -> String {
    target().join("release/backupflow").display().to_string()
}

/// Where the config and the log are.
fn folder() -> PathBuf {
    env::temp_dir().join("backupflow-demo")
}

/// The command that asks the daemon.
pub(crate) fn status_words() -> [String; 4] {
    let config = folder().join("config.toml").display().to_string();
    [binary(), "status".to_owned(), "--config".to_owned(), config]
}

/// A command on the backup host.
fn on_host(words: &[&str]) -> std::process::Command {
    let namespace = format!("--net=/run/netns/{HOST}");
    program(&[&["nsenter", &namespace, "--"], words].concat())
}

impl Daemon {
    /// Starts it and waits until it watches.
    pub(crate) fn start(stop: &Stop) -> anyhow::Result<Self> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let config = folder.join("config.toml");
        fs::write(&config, CONFIG)?;
        let log = fs::File::create(folder.join("log"))?;
        let child = on_host(&[&binary(), "run", "--config", &config.display().to_string()])
            .stderr(log)
            .spawn()
            .context("starting backupflow")?;
        let mut daemon = Self { child, folder };
        while daemon.verdicts()?.is_empty() {
            if stop.requested() {
                bail!("stopped");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    /// What the report says now; nothing while there is none.
    pub(crate) fn verdicts(&mut self) -> anyhow::Result<Vec<Said>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("backupflow ended with {status}\n{}", self.log());
        }
        let words = status_words();
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain(["--format", "json"]).collect();
        let answer = on_host(&words).output()?;
        let report: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let expectations = report.get("expectations").and_then(Value::as_array);
        Ok(expectations
            .into_iter()
            .flatten()
            .map(|expectation| Said {
                flow: text(&expectation["flow"]),
                side: text(&expectation["side"]),
                verdict: text(&expectation["verdict"]),
            })
            .collect())
    }

    /// Shows what users see.
    pub(crate) fn show() -> anyhow::Result<()> {
        let words = status_words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        println!("\n$ backupflow status\n");
        // It exits with 1 here: there is a discrepancy, as there should be.
        on_host(&words).status()?;
        println!("metrics: http://{ADDRESS}/metrics on the backup host, that is");
        println!("    nsenter --net=/run/netns/{HOST} curl --silent http://{ADDRESS}/metrics\n");
        let url = format!("http://{ADDRESS}/metrics");
        let metrics = on_host(&["curl", "--silent", &url]).stderr(Stdio::null()).output()?;
        let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
        let of_blocked = metrics.lines().filter(|line| {
            line.contains("flow=\"agent-50051\"")
                && (line.starts_with("backupflow_discrepancy{")
                    || line.starts_with("backupflow_flow_receive_packets_total"))
        });
        for line in of_blocked {
            println!("{line}");
        }
        Ok(())
    }

    /// What the daemon wrote to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}
