//! `miri`: the contract of kernel and daemon, run by an interpreter that sees undefined behaviour.

use crate::command::{in_group, run as execute};

/// Runs the tests of `monitor-common` with a toolchain that has miri and the sources of the library.
pub(crate) fn run(toolchain: &str) -> anyhow::Result<()> {
    let toolchain = format!("+{toolchain}");
    let mut command =
        in_group(&["cargo", &toolchain, "miri", "test", "--package", "monitor-common"]);
    // Property tests read and write files of their own, and hundreds of cases take hours.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "16");
    execute(&mut command)
}
