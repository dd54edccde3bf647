//! `demo`: the main job on real traffic.
//!
//! A backup host, a cluster and a client machine are network namespaces, joined by virtual cables.
//! Everything that is made here goes when this ends, however it ends.

mod daemon;
mod network;
mod traffic;

use std::{
    io::{BufRead as _, IsTerminal as _, stdin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    command::{program, run as execute},
    setup,
};
use daemon::Daemon;
use network::Network;
use traffic::Traffic;

/// What the report has to say, as (flow, this host's side, verdict).
const EXPECTED: [(&str, &str, &str); 5] = [
    ("agent-2548", "server", "ok"),
    ("agent-50051", "server", "blocked"),
    ("mssql-vdi-11113", "client", "ok"),
    ("backup-32004", "server", "ok"),
    ("dedupe-8443", "server", "ok"),
];

/// How long the report may take to say it, in half seconds.
const PATIENCE: u32 = 120;

/// Whether somebody asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Builds everything, shows what backupflow says, and takes everything away.
pub(crate) fn run(keep: bool) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the demo makes network namespaces and loads kernel programs: run it as root");
    }
    let stop = Stop::default();
    let asked = stop.clone();
    ctrlc::set_handler(move || asked.request()).context("catching Ctrl-C")?;

    println!("1/5  getting what the build needs");
    setup::ensure()?;
    println!("2/5  building backupflow, which takes some minutes the first time");
    execute(&mut program(&["cargo", "build", "--release", "--package", "monitor"]))?;
    println!("3/5  joining a backup host, a cluster and a client machine");
    let network = Network::build()?;
    println!(
        "4/5  starting backupflow on the backup host, then the traffic; a firewall rule drops port 50051"
    );
    let mut daemon = Daemon::start(&stop)?;
    let traffic = Traffic::start(&stop);
    println!("5/5  waiting until five flows are judged");
    let shown = wait(&mut daemon, &stop);
    if shown.is_ok() {
        Daemon::show()?;
        if keep {
            linger(&stop);
        }
    }
    stop.request();
    traffic.join();
    drop(daemon);
    drop(network);
    shown?;
    println!("the demo is over, nothing is left of it");
    Ok(())
}

/// Waits until the report says what it has to.
fn wait(daemon: &mut Daemon, stop: &Stop) -> anyhow::Result<()> {
    let progress = ProgressBar::new(EXPECTED.len() as u64);
    progress.set_style(ProgressStyle::with_template("     {bar:25} {pos}/{len} {msg}")?);
    let mut missing = Vec::new();
    for _ in 0..PATIENCE {
        if stop.requested() {
            bail!("stopped");
        }
        let verdicts = daemon.verdicts()?;
        missing = EXPECTED
            .into_iter()
            .filter(|&(flow, side, verdict)| {
                !verdicts.iter().any(|seen| {
                    (seen.flow.as_str(), seen.side.as_str(), seen.verdict.as_str())
                        == (flow, side, verdict)
                })
            })
            .collect();
        progress.set_position((EXPECTED.len() - missing.len()) as u64);
        progress.set_message(missing.first().map_or("", |(flow, _, _)| flow));
        if missing.is_empty() {
            progress.finish_and_clear();
            return Ok(());
        }
        thread::sleep(Duration::from_millis(500));
    }
    progress.finish_and_clear();
    bail!("the report does not say {missing:?}\n{}", daemon.log());
}

/// Leaves everything running until Enter or Ctrl-C.
fn linger(stop: &Stop) {
    println!("\nIt goes on until Enter or Ctrl-C. In another terminal, for example:");
    println!(
        "    watch nsenter --net=/run/netns/{} {}",
        network::HOST,
        daemon::status_words().join(" ")
    );
    println!("    ip netns exec {} nft flush ruleset     # mends the blocked flow", network::HOST);
    if stdin().is_terminal() {
        let stop = stop.clone();
        thread::spawn(move || {
            drop(stdin().lock().lines().next());
            stop.request();
        });
    }
    while !stop.requested() {
        thread::sleep(Duration::from_millis(200));
    }
}
