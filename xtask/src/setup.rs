//! `setup`: the compiler for the kernel programs, and the tools of demo and tests.
//!
//! The ordinary way is rustup's `nightly` with `rust-src`, and a `bpf-linker`. Where rustup cannot
//! fetch that, Debian has a matching compiler with a library for eBPF; it becomes the toolchain
//! `backupflow-bpf`, which `monitor/build.rs` looks for too.

use std::{env, path::Path};

use anyhow::{Context as _, bail};

use crate::command::{output, program, run as execute, which};

/// Programs, and Debian's packages that have them.
const TOOLS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("ethtool", "ethtool"),
    ("promtool", "prometheus"),
    ("curl", "curl"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];

/// Debian's compiler, and what the linker is built with.
const COMPILER: [&str; 6] =
    ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "libzstd-dev", "zlib1g-dev", "g++"];

const LLVM: &str = "/usr/lib/llvm-22/bin";
const TOOLCHAIN: &str = "backupflow-bpf";
const LINKER: &str = "bpf-linker";
const LINKER_VERSION: &str = "0.13.0";

/// Gets what is not there.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let tools = missing_packages(|tool| which(tool).is_some());
    if !tools.is_empty() {
        install("tools for the demo and the tests", &tools)?;
    }
    if has_toolchain("nightly", "lib/rustlib/src/rust/library/core") && which(LINKER).is_some() {
        return Ok(());
    }
    if !has_toolchain(TOOLCHAIN, "lib/rustlib/bpfel-unknown-none") {
        install("a Rust compiler for the kernel programs", &COMPILER)?;
        execute(&mut program(&["rustup", "toolchain", "link", TOOLCHAIN, "/usr"]))
            .context("telling rustup of Debian's compiler")?;
    }
    if which(LINKER).is_none() {
        install("what the linker is built with", &COMPILER)?;
        install_linker()?;
    }
    Ok(())
}

/// The command.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure()?;
    println!("setup: everything is there");
    Ok(())
}

/// The packages whose programs are not there, each once.
fn missing_packages(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        TOOLS.into_iter().filter(|(tool, _)| !is_there(tool)).map(|(_, package)| package).collect();
    packages.dedup();
    packages
}

/// Whether rustup knows a toolchain, and it has what a build for the kernel needs.
fn has_toolchain(name: &str, part: &str) -> bool {
    output(&mut program(&["rustup", "run", name, "rustc", "--print", "sysroot"]))
        .is_ok_and(|sysroot| Path::new(sysroot.trim()).join(part).exists())
}

fn install(what: &str, packages: &[&str]) -> anyhow::Result<()> {
    let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if which("apt-get").is_none() {
        bail!(
            "{what} is not here, and neither is apt-get: install what Debian has in {}; for the compiler, \
             `rustup toolchain install nightly --component rust-src` and `cargo install {LINKER}` do too",
            packages.join(", ")
        );
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("{what} is not here: run `{by_hand}` as root");
    }
    println!("setup: {what}: {}", packages.join(" "));
    execute(program(&["apt-get", "update", "--quiet=2"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let words = ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends"];
    let words = [&words[..], packages].concat();
    execute(program(&words).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn install_linker() -> anyhow::Result<()> {
    println!("setup: {LINKER} {LINKER_VERSION}, which takes a minute to build");
    let path = env::var("PATH").unwrap_or_default();
    // Outside the workspace, whose settings are not the linker's.
    execute(
        program(&[
            "cargo",
            "install",
            LINKER,
            "--version",
            LINKER_VERSION,
            "--locked",
            "--quiet",
            "--no-default-features",
            "--features",
            "llvm-22",
        ])
        .current_dir(env::temp_dir())
        .env("PATH", format!("{LLVM}:{path}"))
        .env_remove("RUSTC_BOOTSTRAP"),
    )
}

#[cfg(test)]
mod tests {
    use super::missing_packages;

    #[test]
    fn only_what_is_not_there_is_installed_and_each_package_once() {
        assert_eq!(missing_packages(|_| true), [""; 0]);
        assert_eq!(missing_packages(|tool| tool != "nft"), ["nftables"]);
        assert_eq!(missing_packages(|tool| tool != "ip" && tool != "tc"), ["iproute2"]);
    }
}
