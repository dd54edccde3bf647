//! `test`: everything that has to hold.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{
    command::{program, run as execute, target},
    setup, tidy,
};

/// Runs every step, also after one has failed, and says at the end which have.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut results = Vec::new();
    step(&mut results, "setup", setup::ensure);
    let commands: [(&str, &[&str]); 6] = [
        ("format", &["cargo", "fmt", "--all", "--check"]),
        ("build", &["cargo", "build", "--package", "monitor"]),
        ("lints", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ("documentation", &["cargo", "doc", "--workspace", "--no-deps"]),
        ("tests", &["cargo", "test", "--workspace", "--exclude", "tests"]),
        // They start programs and build networks: two at a time leave each room to breathe.
        ("tests in namespaces", &["cargo", "test", "--package", "tests", "--", "--test-threads=2"]),
    ];
    for (name, words) in commands {
        step(&mut results, name, || execute(in_workspace(&mut program(words))));
    }
    step(&mut results, "house rules", tidy::run);
    step(&mut results, "demo", || execute(&mut program(&["cargo", "xtask", "demo"])));

    println!("\n{:<22}{:>8}", "STEP", "SECONDS");
    for (name, took, failed) in &results {
        let verdict = if *failed { "  FAILED" } else { "" };
        println!("{name:<22}{:>8}{verdict}", took.as_secs());
    }
    let failed = results.iter().filter(|(_, _, failed)| *failed).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    println!("\nall {} steps passed", results.len());
    Ok(())
}

type Outcome = (&'static str, Duration, bool);

#[expect(clippy::disallowed_methods, reason = "how long a step takes is worth knowing")]
fn step(results: &mut Vec<Outcome>, name: &'static str, run: impl FnOnce() -> anyhow::Result<()>) {
    println!("\n== {name}");
    let started = Instant::now();
    let failed = match run() {
        Ok(()) => false,
        Err(error) => {
            println!("{name}: {error:#}");
            true
        }
    };
    results.push((name, started.elapsed(), failed));
}

/// The build that the tests take, and warnings that are errors.
fn in_workspace(command: &mut Command) -> &mut Command {
    command
        .env("BACKUPFLOW_BIN", target().join("debug/backupflow"))
        .env("RUSTDOCFLAGS", "-D warnings")
}
