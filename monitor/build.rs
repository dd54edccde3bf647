//! Compiles the kernel programs, so that the daemon carries their object, and has it carry the runbooks.

#![expect(clippy::disallowed_methods, reason = "a build asks the toolchain what it has")]

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain, build_ebpf};

/// A nightly toolchain with the sources of the standard library, or the one that
/// `cargo xtask setup` makes where there is none.
const TOOLCHAINS: [(&str, &str); 2] = [
    ("nightly", "lib/rustlib/src/rust/library/core"),
    ("backupflow-bpf", "lib/rustlib/bpfel-unknown-none"),
];

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed=PATH");
    runbooks().context("listing the runbooks")?;
    if Command::new("bpf-linker").arg("--version").output().is_err() {
        bail!("bpf-linker is not installed: run `cargo xtask setup` once");
    }
    let Some((toolchain, _)) = TOOLCHAINS.into_iter().find(|(name, part)| has(name, part)) else {
        bail!("no Rust toolchain here compiles for the kernel: run `cargo xtask setup` once");
    };
    let package =
        Package { name: "monitor-ebpf", root_dir: "../monitor-ebpf", ..Default::default() };
    build_ebpf([package], Toolchain::Custom(toolchain)).context("compiling the kernel programs")
}

/// Writes an array of the runbooks, each with its name and its text.
fn runbooks() -> Result<()> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../docs/runbooks");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut pages = Vec::new();
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().display().to_string();
        let path = path.display().to_string();
        pages.push(format!("({name:?}, include_str!({path:?})),\n"));
    }
    pages.sort();
    let list = Path::new(&env::var("OUT_DIR")?).join("runbooks.rs");
    Ok(fs::write(list, format!("[\n{}]\n", pages.concat()))?)
}

/// Whether rustup knows the toolchain, and it has the part that a build for the kernel needs.
fn has(toolchain: &str, part: &str) -> bool {
    Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .output()
        .is_ok_and(|output| {
            let sysroot = String::from_utf8_lossy(&output.stdout);
            output.status.success() && Path::new(sysroot.trim()).join(part).exists()
        })
}
