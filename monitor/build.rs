//! Compiles the kernel programs, so that the daemon carries their object.

#![expect(clippy::disallowed_methods, reason = "a build asks the toolchain what it has")]

use std::{path::Path, process::Command};

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
