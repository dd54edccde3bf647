//! `bench`: what the kernel programs cost.

use crate::{
    command::{program, run as execute},
    setup,
};

/// Runs the benchmarks, which print their tables.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure()?;
    execute(&mut program(&[
        "cargo",
        "bench",
        "--quiet",
        "--package",
        "monitor",
        "--bench",
        "packet",
    ]))
}
