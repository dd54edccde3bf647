//! The rules of the config file, each by the exact place that its fault names.

mod daemon;
mod file;
mod peers;
mod robust;
mod schedule;
mod syntax;
mod system;
mod web;

use std::fmt::Write as _;

use super::{Config, Faults, parse};

/// A config in which everything that can be set for this product is set.
const FULL: &str = r#"[[system]]
name = "sql-backups"
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "host"]
sections = ["ms_sql_servers", "agent_communication"]
peers.cluster = ["10.20.0.0/24", "fd00:20::/64", "10.1.1.1", "br.example.com"]

[system.ports]
"agent-50051" = 50061

[[system.expect]]
flow = "agent-*"
within = "26h"

[[system.expect]]
flow = "mssql-*"
schedule = { days = ["mon-fri", "sun"], from = "22:00", to = "06:00", zone = "Europe/Berlin" }

[web]
listen = "127.0.0.1:10151"

[kernel]
flows = 4096

[state]
file = "/var/lib/backupflow/state.json"

[probe]
every = "15m"
"#;

/// The least that is a config, followed by `more` on line 4.
fn with(more: &str) -> String {
    format!("[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\"]\n{more}\n")
}

fn accepted(text: &str) -> Config {
    parse("c.toml", text).unwrap()
}

fn refused(text: &str) -> Faults {
    parse("c.toml", text).unwrap_err()
}

/// Every fault as `LINE:COLUMN: key: message`, one a line.
fn faults(text: &str) -> String {
    let refused = refused(text);
    let mut lines = String::new();
    for fault in refused.to_string().lines() {
        let fault = fault.strip_prefix("c.toml:").unwrap();
        writeln!(lines, "{}", fault.trim_start()).unwrap();
    }
    lines.trim_end().to_owned()
}

/// The help of the only fault.
fn help(text: &str) -> String {
    let mut refused = refused(text);
    assert_eq!(refused.faults.len(), 1, "{refused}");
    refused.faults.remove(0).help.unwrap()
}
