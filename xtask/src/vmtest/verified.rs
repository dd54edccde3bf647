//! How many instructions the verifier looks at, against what is written down in `monitor-ebpf/verified.json`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Context as _;

use crate::command::root;

/// By kernel and program.
pub(super) type Counts = BTreeMap<String, BTreeMap<String, u32>>;

/// In percent of what is written down.
const MOST: u32 = 120;

fn file() -> PathBuf {
    root().join("monitor-ebpf/verified.json")
}

/// What is written down.
pub(super) fn read() -> anyhow::Result<Counts> {
    let text = fs::read_to_string(file()).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", file().display()))
}

/// Writes it anew.
pub(super) fn write(counts: &Counts) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(counts)?;
    fs::write(file(), text + "\n").with_context(|| format!("cannot write {}", file().display()))
}

/// What does not agree on one kernel: a jump, and a program that is missing on one side.
pub(super) fn compare(known: &BTreeMap<String, u32>, found: &BTreeMap<String, u32>) -> Vec<String> {
    let mut faults = Vec::new();
    for (program, known) in known {
        match found.get(program) {
            Some(found) if u64::from(*found) * 100 > u64::from(*known) * u64::from(MOST) => {
                faults.push(format!("{program}: {found} instructions verified, {known} before"));
            }
            Some(_) => {}
            None => faults.push(format!("{program}: not loaded")),
        }
    }
    let new = found.keys().filter(|program| !known.contains_key(*program));
    faults.extend(new.map(|program| format!("{program}: not written down: see --bless")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_is_a_fault() {
        let counts = |counts: &[(&str, u32)]| -> BTreeMap<String, u32> {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let known = counts(&[("a", 1000), ("b", 1000)]);
        assert_eq!(compare(&known, &counts(&[("a", 1200), ("b", 1)])), [""; 0]);
        assert_eq!(
            compare(&known, &counts(&[("a", 1201), ("c", 5)])),
            [
                "a: 1201 instructions verified, 1000 before",
                "b: not loaded",
                "c: not written down: see --bless"
            ]
        );
    }
}
