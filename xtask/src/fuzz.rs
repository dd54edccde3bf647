//! `fuzz`: coverage-guided fuzzing of everything that takes bytes from others.

use std::fs;

use anyhow::{Context as _, ensure};

use crate::{
    command::{in_group, root, run as execute, target as built},
    setup,
};

/// The entry points, and the files that were kept of each.
const FOLDER: &str = "tests/fuzz";

/// What libFuzzer says a finding is too: an input that takes so many seconds, or so many MiB.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=3000"];

/// Runs one target, or all one after another, each for so many minutes.
pub(crate) fn run(target: Option<&str>, minutes: u16) -> anyhow::Result<()> {
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| target.is_none_or(|target| target == *name)).collect();
    ensure!(!chosen.is_empty(), "there is no such target, but {}", targets.join(", "));
    setup::ensure()?;
    setup::ensure_cargo_tool("cargo-fuzz", "0.13.2")?;
    // Its own workspace builds what the daemon's does.
    fs::copy(root().join("Cargo.lock"), root().join(FOLDER).join("Cargo.lock"))?;
    let seconds = format!("-max_total_time={}", u32::from(minutes) * 60);
    for name in chosen {
        let (found, kept) = (built().join("fuzz/corpus").join(name), corpus().join(name));
        fs::create_dir_all(&found)?;
        let mut command = in_group(&["cargo", "+nightly", "fuzz", "run", "--fuzz-dir", FOLDER]);
        command.env("CARGO_TARGET_DIR", built().join("fuzz")).arg(name).arg(found).arg(kept);
        command.arg("--").args(LIMITS).arg("-print_final_stats=1").arg(&seconds);
        execute(&mut command)?;
    }
    Ok(())
}

fn corpus() -> std::path::PathBuf {
    root().join(FOLDER).join("corpus")
}

/// Every target has a corpus.
fn targets() -> anyhow::Result<Vec<String>> {
    let folders = fs::read_dir(corpus()).context("reading the corpus")?;
    let mut names = folders
        .map(|folder| Ok(folder?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_corpus_has_an_entry_point() {
        let folder = root().join(FOLDER);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for name in targets().unwrap() {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(folder.join("targets").join(name).with_extension("rs").exists());
        }
        let error = run(Some("nothing"), 1).unwrap_err().to_string();
        assert!(error.starts_with("there is no such target, but capture, "), "{error}");
    }
}
