//! `test`: everything that has to hold.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use crate::{
    command::{in_group, run as execute, target},
    setup, supply, tidy, units, vmtest,
};

const COMMANDS: [(&str, &[&str]); 6] = [
    ("format", &["cargo", "fmt", "--all", "--check"]),
    ("lints", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("documentation", &["cargo", "doc", "--workspace", "--no-deps"]),
    ("build", &["cargo", "build", "--package", "monitor"]),
    ("tests", &["cargo", "test", "--workspace", "--exclude", "tests", "--no-fail-fast"]),
    // They start programs and build networks, and mostly wait: three at a time keep two processors half busy.
    (
        "tests in namespaces",
        &["cargo", "test", "--package", "tests", "--no-fail-fast", "--", "--test-threads=3"],
    ),
];

/// Runs every step, also after one has failed, and says at the end which have.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the tests make network namespaces and load kernel programs: run them as root"
    );
    setup::ensure()?;
    let mut results = Vec::new();
    for (name, words) in COMMANDS {
        step(&mut results, name, || execute(in_workspace(&mut in_group(words))));
    }
    step(&mut results, "house rules", tidy::run);
    step(&mut results, "systemd units", units::run);
    step(&mut results, "supply chain", supply::run);
    // On its own, as a newcomer runs it: it ends by itself, and says whether it showed what it should.
    step(&mut results, "demo", || execute(&mut in_group(&["cargo", "xtask", "demo"])));
    // Last: it takes the program that the demo built.
    step(&mut results, "other kernels", || vmtest::run(&vmtest::Options::core()));

    println!("\n{:<22}{:>8}", "STEP", "SECONDS");
    for (name, took, failed) in &results {
        println!("{name:<22}{:>8}{}", took.as_secs(), if *failed { "  FAILED" } else { "" });
    }
    let failed = results.iter().filter(|(_, _, failed)| *failed).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    println!("\nall {} steps passed", results.len());
    Ok(())
}

/// What, how long, and whether it failed.
type Outcome = (&'static str, Duration, bool);

#[expect(clippy::disallowed_methods, reason = "how long a step takes is worth knowing")]
fn step(results: &mut Vec<Outcome>, name: &'static str, run: impl FnOnce() -> anyhow::Result<()>) {
    println!("\n== {name}");
    let started = Instant::now();
    let outcome = run();
    if let Err(error) = &outcome {
        println!("{name}: {error:#}");
    }
    results.push((name, started.elapsed(), outcome.is_err()));
}

/// The build that the tests take, and warnings that are errors.
fn in_workspace(command: &mut Command) -> &mut Command {
    command
        .env("BACKUPFLOW_BIN", target().join("debug/backupflow"))
        .env("RUSTDOCFLAGS", "-D warnings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_is_remembered() {
        let mut results = Vec::new();
        step(&mut results, "good", || Ok(()));
        step(&mut results, "bad", || bail!("it does not hold"));
        let seen: Vec<_> = results.iter().map(|(name, _, failed)| (*name, *failed)).collect();
        assert_eq!(seen, [("good", false), ("bad", true)]);
    }
}
