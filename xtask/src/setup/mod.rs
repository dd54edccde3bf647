//! `setup`: the compiler for the kernel programs, and the tools of demo and tests.
//!
//! The ordinary way is rustup's `nightly` with `rust-src`, and a `bpf-linker`. Where rustup has no
//! such toolchain, Debian has a matching compiler with a library for eBPF; it becomes the toolchain
//! `backupflow-bpf`, which `monitor/build.rs` looks for too.

mod needs;

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};

use needs::{
    Found, Needs, TOOLCHAIN, by_hand, linker_words, llvm_folder, llvm_in, missing_packages,
    without_apt,
};

use crate::command::{in_group, is_there, output, path, program, run as execute};

const LINKER: &str = "bpf-linker";

/// What is here.
fn look() -> Found {
    Found {
        nightly: has("nightly", "lib/rustlib/src/rust/library/core")
            .then(|| llvm_of("nightly"))
            .flatten(),
        debian: has(TOOLCHAIN, "lib/rustlib/bpfel-unknown-none"),
        linker: is_there(LINKER),
    }
}

/// The command.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure()?;
    println!("setup: everything is there");
    Ok(())
}

/// Gets what is not there.
pub(crate) fn ensure() -> anyhow::Result<()> {
    if !is_there("rustup") {
        bail!("rustup is not here, and a build takes a second compiler: see https://rustup.rs");
    }
    let mut needs = look().needs();
    needs.packages.extend(missing_packages(is_there));
    if needs == Needs::default() {
        return Ok(());
    }
    if !is_there("apt-get") {
        bail!("{}", without_apt(&needs));
    }
    if !needs.packages.is_empty() {
        if !nix::unistd::geteuid().is_root() {
            bail!("{}", by_hand(&needs));
        }
        install(&needs.packages)?;
    }
    if needs.toolchain {
        println!("setup: rustup calls Debian's compiler {TOOLCHAIN} from now on");
        execute(&mut in_group(&["rustup", "toolchain", "link", TOOLCHAIN, "/usr"]))?;
    }
    if let Some(llvm) = needs.linker {
        install_linker(llvm)?;
    }
    let left = look().needs();
    if left.toolchain {
        bail!("the compiler that was installed does not compile for the kernel");
    }
    if left.linker.is_some() {
        bail!("{LINKER} is installed, but not in PATH: add the folder that cargo named above");
    }
    Ok(())
}

/// Whether rustup knows a toolchain, and it has a part that a build for the kernel needs.
fn has(toolchain: &str, part: &str) -> bool {
    output(&mut program(&["rustup", "run", toolchain, "rustc", "--print", "sysroot"]))
        .is_ok_and(|sysroot| Path::new(sysroot.trim()).join(part).exists())
}

fn llvm_of(toolchain: &str) -> Option<u32> {
    let version = ["rustup", "run", toolchain, "rustc", "--version", "--verbose"];
    llvm_in(&output(&mut program(&version)).ok()?)
}

fn install(packages: &[String]) -> anyhow::Result<()> {
    println!("setup: installing {}", packages.join(" "));
    // What it says of each package matters only when it fails.
    output(&mut apt(&["update"])).context("asking Debian what it has")?;
    output(apt(&["install", "--yes", "--no-install-recommends"]).args(packages)).context(
        "if this Debian has no such compiler, `rustup toolchain install nightly --component rust-src` gets one",
    )?;
    Ok(())
}

/// Another `apt-get`, such as that of unattended upgrades, is waited for.
fn apt(words: &[&str]) -> Command {
    let mut command = in_group(&["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=600"]);
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn install_linker(llvm: u32) -> anyhow::Result<()> {
    println!("setup: building {LINKER} with LLVM {llvm}, which takes a minute");
    let words = linker_words(llvm);
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--quiet"]).collect();
    execute(
        // Outside the workspace, whose settings are not the linker's.
        in_group(&words)
            .current_dir("/")
            .env("PATH", path(&[&llvm_folder(llvm)]))
            .env_remove("RUSTC_BOOTSTRAP"),
    )
}

/// Gets a subcommand of cargo, unless that version is there.
pub(crate) fn ensure_cargo_tool(tool: &str, version: &str) -> anyhow::Result<()> {
    let subcommand = tool.trim_start_matches("cargo-");
    let found = output(&mut program(&["cargo", subcommand, "--version"])).unwrap_or_default();
    if found.split_whitespace().any(|word| word == version) {
        return Ok(());
    }
    println!("setup: building {tool} {version}, which takes some minutes");
    let words = ["cargo", "install", tool, "--version", version, "--locked", "--quiet", "--debug"];
    // Outside the workspace, whose settings are not the tool's. Optimizing takes longer than the tools ever run, but for
    // what compresses; cargo-deb says so itself.
    execute(
        in_group(&words)
            .args(["--config", "profile.dev.package.zstd-sys.opt-level=2"])
            .current_dir("/")
            .env_remove("RUSTC_BOOTSTRAP")
            .env("CARGO_PROFILE_DEV_DEBUG", "false"),
    )
}

/// Gets Debian's packages of programs that are not there.
pub(crate) fn ensure_packages(tools: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = tools.iter().filter(|(tool, _)| !is_there(tool));
    let packages: Vec<String> = missing.map(|(_, package)| (*package).to_owned()).collect();
    if packages.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get") || !nix::unistd::geteuid().is_root() {
        bail!("install what Debian has in {}", packages.join(", "));
    }
    install(&packages)
}
