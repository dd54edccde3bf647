//! `reload`: has the running daemon read its config again, and says what came of it.

use std::{path::Path, process::ExitCode, thread::sleep, time::Duration};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::client::Client;
use crate::serve::Reload;

/// How often the daemon is asked, and how long is waited in between: ten seconds in all.
const TIMES: u32 = 200;
const EVERY: Duration = Duration::from_millis(50);

#[expect(clippy::print_stderr, reason = "the faults go where those of other commands do")]
pub(super) fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let client = Client::of(config);
    let before: Reload = client.ask("/api/v1/reload")?;
    let pid = Pid::from_raw(before.pid);
    kill(pid, Signal::SIGHUP).with_context(|| {
        format!(
            "the daemon (process {pid}) may not be told by this user: run the command with sudo"
        )
    })?;
    for _ in 0..TIMES {
        let now: Reload = client.ask("/api/v1/reload")?;
        if now.reloads > before.reloads {
            let Some(faults) = now.faults else { return Ok(ExitCode::SUCCESS) };
            eprintln!("backupflow: config refused, the old one stays in force:\n{faults}");
            return Ok(ExitCode::from(1));
        }
        sleep(EVERY);
    }
    bail!("the daemon has not read its config within 10 seconds")
}
