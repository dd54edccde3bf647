//! `scenarios`: the released daemon and many random scenarios with real packets.

use anyhow::ensure;

use crate::{
    build,
    command::{in_group, run as execute, target},
    setup,
    stop::Stop,
};

/// Plays that many scenarios, from a seed on; with `healthy` such of which nothing may fail.
pub(crate) fn run(count: u32, seed: u64, healthy: bool) -> anyhow::Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the scenarios make network namespaces and load kernel programs: run them as root"
    );
    setup::ensure()?;
    build::release(&Stop::default())?;
    let kind = if healthy { "healthy" } else { "mixed" };
    let words = ["cargo", "run", "--quiet", "--package", "tests", "--example", "scenarios", "--"];
    let mut command = in_group(&words);
    command.args([kind.to_owned(), count.to_string(), seed.to_string()]);
    execute(command.env("BACKUPFLOW_BIN", target().join("release/backupflow")))
}
