//! `soak`: the released daemon under traffic for a long time, or killed again and again.

use std::time::UNIX_EPOCH;

use anyhow::ensure;

use crate::{
    build,
    command::{in_group, run as execute, target},
    setup,
    stop::Stop,
};

/// Runs the soak for some minutes, or kills the daemon some hundred times: at moments that follow from
/// the seed.
pub(crate) fn run(minutes: u16, kills: Option<u32>, seed: Option<u64>) -> anyhow::Result<()> {
    ensure!((1..=24 * 60).contains(&minutes), "--minutes takes 1 to {}", 24 * 60);
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the soak makes network namespaces and loads kernel programs: run it as root"
    );
    setup::ensure()?;
    build::release(&Stop::default())?;
    let words = match kills {
        Some(kills) => {
            vec!["kills".to_owned(), kills.to_string(), seed.map_or_else(any_seed, Ok)?.to_string()]
        }
        None => vec!["minutes".to_owned(), minutes.to_string()],
    };
    let mut command =
        in_group(&["cargo", "run", "--quiet", "--package", "tests", "--example", "soak", "--"]);
    execute(command.args(words).env("BACKUPFLOW_BIN", target().join("release/backupflow")))
}

/// Another one each time.
fn any_seed() -> anyhow::Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "a seed is what the clock says")]
    let now = std::time::SystemTime::now();
    Ok(now.duration_since(UNIX_EPOCH)?.as_secs())
}
