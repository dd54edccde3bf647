//! `bench`: what the kernel programs, reading their counts, judging, a large config and a transfer cost.

use std::process::Command;

use anyhow::ensure;

use crate::{
    command::{in_group, run as execute, target},
    setup,
};

/// Runs the benchmarks, which print their tables.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs into the kernel: run it as root"
    );
    setup::ensure()?;
    for bench in ["config", "judge", "packet", "drain", "drop"] {
        execute(&mut bench_of("monitor", bench))?;
    }
    execute(&mut in_group(&["cargo", "build", "--quiet", "--release", "--package", "monitor"]))?;
    execute(
        bench_of("tests", "throughput").env("BACKUPFLOW_BIN", target().join("release/backupflow")),
    )?;
    Ok(())
}

fn bench_of(package: &str, bench: &str) -> Command {
    in_group(&["cargo", "bench", "--quiet", "--package", package, "--bench", bench])
}
