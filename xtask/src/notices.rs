//! The licences of the crates that are built into the program, as their texts ask to be handed on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::Context as _;
use serde_json::Value;

use crate::command::{output, program};

/// Every crate with its licence, then each text once with the crates that it is of.
pub(crate) fn text() -> anyhow::Result<String> {
    let words = ["cargo", "tree", "--package", "monitor", "--edges", "normal", "--prefix", "none"];
    let tree = output(program(&words).args(["--format", "{p}"]))?;
    // `serde v1.0.0 (proc-macro)`; a crate of ours has its path there.
    let used: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter(|line| !line.contains("(/"))
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or(rest)))
        .collect();
    let metadata = output(&mut program(&["cargo", "metadata", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;

    let mut list = String::from("backupflow contains these crates:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let part = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (part("name"), part("version"));
        if !used.contains(&(name, version)) {
            continue;
        }
        writeln!(list, "{name} {version}: {}", part("license"))?;
        let folder = Path::new(part("manifest_path")).parent().unwrap_or(Path::new("/"));
        for text in texts_in(folder)? {
            texts.entry(text).or_default().push(name.to_owned());
        }
    }
    for (text, names) in texts {
        write!(list, "\n{}\n{}:\n\n{text}\n", "-".repeat(80), names.join(", "))?;
    }
    Ok(list)
}

/// The texts of the licences in the folder of a crate.
fn texts_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_licence && entry.file_type()?.is_file() {
            texts.push(fs::read_to_string(entry.path())?.trim().to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn every_crate_is_there_with_its_text_and_none_of_ours() {
        let text = text().unwrap();
        let (list, texts) = text.split_once("\n---").unwrap();
        assert!(list.contains("\naya 0.14.0: MIT OR Apache-2.0\n"), "{list}");
        assert!(!list.contains("monitor-common"), "{list}");
        // What only tests and tools take is not built in.
        assert!(!list.contains("proptest"), "{list}");
        for part in ["Permission is hereby granted", "Apache License", "anyhow, "] {
            assert!(texts.contains(part), "{part}");
        }
    }
}
