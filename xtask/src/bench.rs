//! `bench`: what the kernel programs cost.

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
    let words = ["cargo", "bench", "--quiet", "--package", "monitor", "--bench", "packet"];
    execute(&mut in_group(&words))
}
