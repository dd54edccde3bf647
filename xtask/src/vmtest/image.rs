//! What a machine has besides its kernel: the daemon, the tests, and the tools that they run.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::Value;

use super::kernel::archive;
use crate::command::{in_group, output, path, program, root, run as execute, target};

const INIT: &str = include_str!("init.sh");

/// What the tests run, but for what busybox has and does the same way.
const TOOLS: &[&str] = &[
    "ethtool",
    "ip",
    "iptables-legacy",
    "modprobe",
    "mount",
    "nft",
    "nsenter",
    "setpriv",
    "sh",
    "ss",
    "tc",
    "tcpdump",
    "umount",
    "unshare",
    "wg",
];

/// The program of the tests and the daemon.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) tests: PathBuf,
    verifier: PathBuf,
    daemon: PathBuf,
}

impl Programs {
    /// Builds them. The daemon is that of a release: the machines are slow.
    pub(super) fn build() -> anyhow::Result<Self> {
        let daemon = if let Some(daemon) = env::var_os("BACKUPFLOW_BIN") {
            daemon.into()
        } else {
            execute(&mut in_group(&[
                "cargo",
                "build",
                "--quiet",
                "--release",
                "--package",
                "monitor",
            ]))?;
            target().join("release/backupflow")
        };
        Ok(Self {
            tests: test("tests", "namespaces")?,
            verifier: test("monitor", "verifier")?,
            daemon,
        })
    }

    /// Packs them and the tools.
    pub(super) fn pack(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let image = folder.join("image");
        drop(fs::remove_dir_all(&image));
        for part in ["busybox", "dev", "etc", "proc", "run", "sys", "tmp", "vmtest"] {
            fs::create_dir_all(image.join(part))?;
        }
        fs::write(image.join("init"), INIT)?;
        execute(in_group(&["chmod", "755"]).arg(image.join("init")))?;
        fs::write(
            image.join("etc/passwd"),
            "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        )?;
        fs::write(image.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
        for folder in ["bin", "lib", "lib64", "sbin"] {
            fs::create_dir_all(image.join("usr").join(folder))?;
            symlink(Path::new("usr").join(folder), image.join(folder))?;
        }
        fs::copy(find("busybox")?, image.join("busybox/busybox"))?;
        for name in TOOLS {
            let tool = find(name)?;
            with_libraries(&tool, &image, &tool)?;
        }
        copy(Path::new("/usr/lib/x86_64-linux-gnu/xtables"), &image)?;
        // Names of protocols, which rules of firewalls have.
        put(Path::new("/etc/protocols"), &image, Path::new("/etc/protocols"))?;
        // Texts that the tests compare with are where they are here.
        copy(&root().join("tests/golden"), &image)?;
        let programs = [
            (&self.tests, "namespaces"),
            (&self.verifier, "verifier"),
            (&self.daemon, "backupflow"),
        ];
        for (from, name) in programs {
            let stripped = folder.join(name);
            execute(in_group(&["strip", "-o"]).args([&stripped, from]))?;
            with_libraries(&stripped, &image, &Path::new("/usr/bin").join(name))?;
        }
        let packed = folder.join("image.cpio");
        archive(&image, &packed)?;
        fs::remove_dir_all(image)?;
        Ok(packed)
    }
}

/// Builds a program of tests.
fn test(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    let words = ["cargo", "test", "--quiet", "--no-run", "--message-format=json"];
    let messages = output(in_group(&words).args(["--package", package, "--test", name]))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo does not say where {name} is"))
}

fn find(name: &str) -> anyhow::Result<PathBuf> {
    env::split_paths(&path(&[]))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("{name} is not here"))
}

/// A folder, at the same place in the image.
fn copy(folder: &Path, image: &Path) -> anyhow::Result<()> {
    let to = image.join(folder.strip_prefix("/")?);
    fs::create_dir_all(&to)?;
    execute(in_group(&["cp", "--recursive", "--no-target-directory"]).args([folder, &to]))
}

/// A program and the libraries that it is linked with.
fn with_libraries(file: &Path, image: &Path, to: &Path) -> anyhow::Result<()> {
    put(file, image, to)?;
    // It fails for what is linked with none.
    let libraries = output(program(&["ldd"]).arg(file)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        put(Path::new(library), image, Path::new(library))?;
    }
    Ok(())
}

fn put(file: &Path, image: &Path, to: &Path) -> anyhow::Result<()> {
    let to = image.join(to.strip_prefix("/")?);
    fs::create_dir_all(to.parent().context("the root is no file")?)?;
    fs::copy(file, &to).map(drop).with_context(|| format!("cannot copy {}", file.display()))
}
