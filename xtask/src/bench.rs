//! `bench`: what the kernel programs, the judging and a large config cost.

use anyhow::ensure;

use crate::{
    command::{in_group, run as execute},
    setup,
};

/// Runs the benchmarks, which print their tables.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the benchmark loads programs into the kernel: run it as root"
    );
    setup::ensure()?;
    for bench in ["config", "judge", "packet", "drop"] {
        let words = ["cargo", "bench", "--quiet", "--package", "monitor", "--bench", bench];
        execute(&mut in_group(&words))?;
    }
    Ok(())
}
