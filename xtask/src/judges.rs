//! `judges`: many frames before the parser, the reference and the kernel.

use anyhow::ensure;

use crate::{
    command::{in_group, run as execute},
    setup,
};

/// Runs that many frames, from a seed on.
pub(crate) fn run(frames: u64, seed: u64) -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "one of the judges is the kernel, which takes programs from root alone"
    );
    setup::ensure()?;
    let mut command = in_group(&["cargo", "run", "--quiet", "--release", "--package", "judges"]);
    execute(command.arg("--").args([frames.to_string(), seed.to_string()]))
}
