//! One machine with one kernel, from its start to its end.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, bail};

use super::{
    kernel::{Fetched, archive},
    said::Said,
    scenarios,
};
use crate::command::in_group;

/// Without KVM, and as machines of this kind proved to be stable: with other flags guests died at random.
const MACHINE: &str = "qemu-system-x86_64 -M pc -cpu max,la57=off,cx16=off -accel tcg,thread=single -smp 2 -m 1536 \
                       -nodefaults -display none -no-reboot -nic none -monitor none";

/// A machine that dies is started once more.
const STARTS: u32 = 2;

/// What `timeout` ends with when the time is up.
const TIME_IS_UP: i32 = 124;

/// What is asked of a machine.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// The daemon, the tests and their tools.
    pub(super) image: &'a Path,
    /// Arguments of the program of the tests.
    pub(super) arguments: &'a str,
    /// Only what `cargo xtask test` runs.
    pub(super) core: bool,
    /// In seconds.
    pub(super) patience: u32,
}

/// Runs one to its end, and gives what it said.
pub(super) fn run(fetched: &Fetched, task: &Task<'_>, folder: &Path) -> anyhow::Result<Said> {
    let folder = folder.join(fetched.kernel.line);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(folder.join("own/vmtest"))?;
    let environment = format!(
        "export BACKUPFLOW_BIN=/usr/bin/backupflow BACKUPFLOW_PATIENCE=8 RUST_TEST_THREADS=2\nARGUMENTS='{}'\n",
        [scenarios::left_out(fetched.kernel.line, task.core).join(" ").as_str(), task.arguments]
            .join(" "),
    );
    fs::write(folder.join("own/vmtest/environment"), environment)?;
    archive(&folder.join("own"), &folder.join("own.cpio"))?;
    let mut disk = fs::File::create(folder.join("initrd"))?;
    for part in [task.image, &fetched.folder.join("modules.cpio"), &folder.join("own.cpio")] {
        disk.write_all(&fs::read(part)?)?;
    }
    for start in 1..=STARTS {
        let (said, code) = boot(fetched, task, &folder)?;
        if said.ended || code == Some(TIME_IS_UP) || (start == STARTS && !said.tests.is_empty()) {
            fs::remove_file(folder.join("initrd"))?;
            return Ok(said);
        }
    }
    let console = fs::read(folder.join("console")).unwrap_or_default();
    bail!("it did not start:\n{}", String::from_utf8_lossy(&console))
}

fn boot(fetched: &Fetched, task: &Task<'_>, folder: &Path) -> anyhow::Result<(Said, Option<i32>)> {
    // It ends with this program, whatever ends that.
    let limits = format!("setpriv --pdeathsig TERM timeout --foreground {}", task.patience);
    let words: Vec<&str> = limits.split(' ').chain(MACHINE.split_whitespace()).collect();
    let output = in_group(&words)
        .arg("-kernel")
        .arg(fetched.folder.join("vmlinuz"))
        .arg("-initrd")
        .arg(folder.join("initrd"))
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .args(["-serial", &format!("file:{}", folder.join("console").display())])
        .args(["-serial", &format!("file:{}", folder.join("said").display())])
        .output()
        .context("cannot run qemu")?;
    fs::write(folder.join("qemu"), [output.stdout, output.stderr].concat())?;
    let said = fs::read(folder.join("said")).unwrap_or_default();
    Ok((Said::parse(&String::from_utf8_lossy(&said)), output.status.code()))
}
