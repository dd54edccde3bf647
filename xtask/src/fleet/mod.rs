//! `fleet`: what many hosts cost one Prometheus.
//!
//! The real daemon watches real traffic, and its `/metrics` is served for each host, with counters that
//! advance, to a real Prometheus with our rules. It all happens on the loopback of a network namespace
//! that has no name and goes with the last process in it.

mod disk;
mod exposition;
mod host;
mod prometheus;
mod rules;
mod server;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, unshare};

use crate::{
    build,
    command::{output, program, target},
    setup,
    stop::Stop,
};
use prometheus::{Prometheus, Usage};

/// As many as addresses are given for.
const MOST: u16 = 10_000;

/// Where Prometheus keeps its data. It goes with the value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let folder = Self(target().join("fleet"));
        drop(fs::remove_dir_all(&folder.0));
        fs::create_dir_all(&folder.0).with_context(|| folder.0.display().to_string())?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Simulates the hosts for some minutes and prints what Prometheus needed.
pub(crate) fn run(hosts: u16, minutes: u16) -> anyhow::Result<()> {
    ensure!((1..=MOST).contains(&hosts), "--hosts takes 1 to {MOST}");
    ensure!((2..=60).contains(&minutes), "--minutes takes 2 to 60");
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the fleet is in a network namespace, and its daemon loads kernel programs: run it as root"
    );
    setup::ensure()?;
    let stop = Stop::on_signals()?;
    println!("1/4  building backupflow");
    build::release(&stop)?;
    unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
    output(&mut program(&["ip", "link", "set", "lo", "up"]))?;
    let folder = Folder::create()?;
    println!("2/4  taking the metrics of a host with traffic, and of one with refused flows");
    let scraped = host::scrape(&folder.0, &stop)?;
    println!("3/4  measuring what samples take on disk");
    let disk = disk::measure(&folder.0, &scraped.healthy)?;
    println!("4/4  {hosts} hosts for {minutes} minutes");
    let bytes = scraped.healthy.text().len();
    let (series, expectations) = (scraped.healthy.series(), scraped.healthy.expectations());
    server::start(scraped)?;
    let mut prometheus = Prometheus::start(&folder.0, hosts, &stop)?;
    let usage = prometheus.watch(Duration::from_secs(u64::from(minutes) * 60), &stop)?;
    print(&usage, &format!("{hosts} x {expectations}"), series, bytes, disk);
    Ok(())
}

fn print(usage: &Usage, hosts: &str, series: usize, scrape: usize, disk: f64) {
    let line = |what: &str, value: String| println!("| {what} | {value} |");
    println!("\n| what | measured |\n|---|---|");
    line("hosts x expectations", hosts.to_owned());
    line("series of a host, as the daemon writes them", series.to_string());
    line("a scrape, bytes of text", scrape.to_string());
    line("hosts that are up", format!("{:.0}", usage.up));
    line("series in Prometheus", format!("{:.0}", usage.series));
    line("alerts, pending or firing", format!("{:.0}", usage.alerts));
    line("samples taken in a second", format!("{:.0}", usage.samples_per_second));
    line("slowest scrape, seconds", format!("{:.2}", usage.slowest_scrape));
    line("memory (RSS), MiB", format!("{:.0}", usage.resident / 1_048_576.0));
    line("processors", format!("{:.2}", usage.processors));
    line("log (WAL), bytes a sample", format!("{:.2}", usage.wal_bytes_per_sample));
    line("blocks of 2 hours, bytes a sample", format!("{disk:.2}"));
    for group in &usage.groups {
        let of_group = usage.rules.iter().filter(|rule| rule.group == group.name);
        let processor: f64 = of_group.map(|rule| rule.processor).sum();
        line(
            &format!("rules {}, processor time of an evaluation", group.name),
            format!(
                "{processor:.3} s = {:.1} % of {:.0} s",
                100.0 * processor / group.interval,
                group.interval
            ),
        );
        line(
            &format!(
                "rules {}, slowest of {} evaluations by the clock",
                group.name, group.evaluations
            ),
            format!(
                "{:.3} s = {:.1} %, {:.0} missed",
                group.slowest,
                100.0 * group.slowest / group.interval,
                group.missed
            ),
        );
    }
    println!("\n| rule | processor time, ms | series |\n|---|---|---|");
    for rule in &usage.rules {
        println!("| {} | {:.1} | {} |", rule.name, rule.processor * 1000.0, rule.series);
    }
}
