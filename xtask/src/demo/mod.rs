//! `demo`: the main job on real traffic.
//!
//! A backup host, a cluster and a client machine are network namespaces, joined by virtual cables.
//! Everything that is made here goes when this ends, however it ends.

mod daemon;
mod network;
mod traffic;

use std::{
    io::{ErrorKind, IsTerminal as _, stdin},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{build, setup, stop::Stop};
use daemon::{Daemon, Said};
use network::{HOST, Network};
use traffic::Traffic;

/// What the report has to say, as (flow, this host's side, verdict).
const EXPECTED: &[(&str, &str, &str)] = &[
    ("agent-2548", "server", "ok"),
    ("agent-50051", "server", "blocked"),
    ("mssql-vdi-11113", "client", "ok"),
    ("backup-32004", "server", "ok"),
    ("dedupe-8443", "server", "ok"),
];

/// How often the report is looked at, and how many times at most.
const EVERY: Duration = Duration::from_millis(500);
const PATIENCE: u32 = 120;

/// Builds everything, shows what backupflow says, and takes everything away.
pub(crate) fn run(keep: bool) -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo makes network namespaces and loads kernel programs: run it as root"
    );
    println!("1/5  looking for what the build needs");
    setup::ensure()?;
    let stop = Stop::on_signals()?;
    println!("2/5  building backupflow, which takes some minutes the first time");
    let alone = only_one()?;
    build::release(&stop)?;
    println!("3/5  joining a backup host, a cluster and a client machine, all in this kernel");
    let network = Network::build(&stop)?;
    println!("     the backup host's firewall drops what comes to port 50051");
    println!("4/5  starting backupflow on the backup host, then traffic for five documented flows");
    let mut daemon = Daemon::start(&stop)?;
    let traffic = Traffic::start(&stop);
    println!("5/5  waiting until backupflow has judged them");
    let shown = wait(&mut daemon, &traffic, &stop).and_then(|()| daemon.show());
    if keep && shown.is_ok() {
        linger(&stop);
    }
    stop.request();
    let traffic = traffic.join();
    drop(daemon);
    drop(network);
    drop(alone);
    shown.and(traffic)?;
    println!("\nthe demo is over and has left nothing behind");
    Ok(())
}

/// Held while a demo runs, so that no other takes its machines away. The kernel lets go of it when
/// the process ends, and there is no file to leave behind.
fn only_one() -> anyhow::Result<UnixListener> {
    let name = SocketAddr::from_abstract_name("backupflow-demo")?;
    match UnixListener::bind_addr(&name) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!("another demo is running"),
        result => result.context("looking for another demo"),
    }
}

/// Waits until the report says what it has to.
fn wait(daemon: &mut Daemon, traffic: &Traffic, stop: &Stop) -> anyhow::Result<()> {
    let progress = ProgressBar::new(EXPECTED.len() as u64);
    progress.set_style(ProgressStyle::with_template("     {bar:25} {pos}/{len} {msg}")?);
    let mut left = Vec::new();
    for _ in 0..PATIENCE {
        stop.check()?;
        if traffic.has_failed() {
            bail!("there is no traffic");
        }
        let before = left.len();
        left = missing(&daemon.verdicts()?);
        let judged = EXPECTED.len() - left.len();
        if progress.is_hidden() && left.len() != before {
            println!("     {judged} of {}", EXPECTED.len());
        }
        progress.set_position(judged as u64);
        progress.set_message(left.first().map_or("", |(flow, ..)| flow));
        if left.is_empty() {
            progress.finish_and_clear();
            return Ok(());
        }
        stop.pause(EVERY);
    }
    progress.finish_and_clear();
    bail!("the report does not say {left:?}; backupflow's log:\n{}", daemon.log());
}

/// What the report has to say and does not.
fn missing(said: &[Said]) -> Vec<(&'static str, &'static str, &'static str)> {
    let is_said = |&(flow, side, verdict): &(&str, &str, &str)| {
        said.iter().any(|seen| seen.flow == flow && seen.side == side && seen.verdict == verdict)
    };
    EXPECTED.iter().copied().filter(|expected| !is_said(expected)).collect()
}

/// Leaves everything running until Enter or Ctrl-C.
fn linger(stop: &Stop) {
    let status = daemon::status_words().join(" ");
    println!("\nIt all goes on until you press Enter or Ctrl-C. Meanwhile, in another terminal:");
    println!("  look again:        {} {status}", network::enter(HOST).join(" "));
    println!("  open the port:     {} nft flush ruleset", network::enter(HOST).join(" "));
    println!("  look around:       {} bash", network::enter(HOST).join(" "));
    if stdin().is_terminal() {
        let stop = stop.clone();
        thread::spawn(move || {
            drop(stdin().read_line(&mut String::new()));
            stop.request();
        });
    }
    while !stop.requested() {
        stop.pause(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_shows_only_what_the_report_says() {
        let mut said: Vec<Said> = EXPECTED
            .iter()
            .map(|&(flow, side, verdict)| Said {
                flow: flow.to_owned(),
                side: side.to_owned(),
                verdict: verdict.to_owned(),
            })
            .collect();
        assert_eq!(missing(&said), []);
        let ([first, .., last], [one, .., other]) = (EXPECTED, said.as_mut_slice()) else {
            panic!("two flows or more");
        };
        "idle".clone_into(&mut one.verdict);
        "neither".clone_into(&mut other.side);
        assert_eq!(missing(&said), [*first, *last]);
        assert_eq!(missing(&[]), EXPECTED);
    }
}
