//! Milliseconds to check a config of ten thousand lines with five thousand peers, good and bad.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes the time and prints its table"
)]

use std::{fmt::Write as _, time::Instant};

use monitor::{
    config::{self, Config, Faults},
    expect::expectations,
};

const ROUNDS: usize = 31;
const SYSTEMS: u32 = 100;
const PEERS: u32 = 50;

fn main() -> Result<(), Faults> {
    let good = config(false);
    let bad = config(true);
    println!("{} lines, {} peers", good.lines().count(), SYSTEMS * PEERS);
    let parsed = check(&good)?;
    println!("{:<28}{:>8.1} ms", "check, no fault", median(|| check(&good).is_ok()));
    println!("{:<28}{:>8.1} ms", "check, a fault a peer", median(|| check(&bad).is_err()));
    let derive = || expectations(&parsed).len() > 100;
    println!("{:<28}{:>8.1} ms", "expectations that follow", median(derive));
    Ok(())
}

fn check(text: &str) -> Result<Config, Faults> {
    config::parse("bench.toml", text)
}

/// Systems of an SQL server, each with its own clusters, a line a peer and as many lines of comment.
fn config(wrong: bool) -> String {
    let mut text = String::new();
    for system in 0..SYSTEMS {
        let head = format!(
            "[[system]]\nname = \"s{system}\"\nproduct = \"ibm-backup-recovery\"\nroles = [\"ms-sql-server\"]\n"
        );
        text.push_str(&head);
        text.push_str("peers.cluster = [\n");
        for peer in 0..PEERS {
            let last = if wrong { 256 } else { peer };
            _ = writeln!(
                text,
                "    # node {peer} of cluster {system}\n    \"10.20.{system}.{last}\","
            );
        }
        text.push_str("]\n");
    }
    text
}

/// The median time in milliseconds of a task that says whether it did what it should.
fn median(mut task: impl FnMut() -> bool) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert!(task(), "the benchmark measures something else");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
