//! `tidy`: rules of this house that no compiler checks.

use std::{fs, path::Path};

use anyhow::bail;

use crate::command::{output, program, root};

/// Rust files are split before they are longer.
const MOST_LINES: usize = 400;

/// What a rule says of a file: where, and what is wrong.
type Rule = fn(path: &str, text: &str) -> Option<String>;

const RULES: [Rule; 5] =
    [short, no_bare_allow, finished, lints_of_the_workspace, links_lead_somewhere];

/// Checks every file that git knows or would add.
pub(crate) fn run() -> anyhow::Result<()> {
    let listed =
        output(&mut program(&["git", "ls-files", "--cached", "--others", "--exclude-standard"]))?;
    let mut findings = Vec::new();
    for path in listed.lines() {
        // A file that is not text, or is gone from the work tree, has nothing to check.
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        findings.extend(
            RULES.iter().filter_map(|rule| rule(path, &text)).map(|what| format!("{path}: {what}")),
        );
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn short(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (is_rust(path) && lines > MOST_LINES).then(|| format!("{lines} lines, more than {MOST_LINES}"))
}

fn no_bare_allow(path: &str, text: &str) -> Option<String> {
    let bare = ["#[allow", "#![allow"].map(|start| format!("{start}("));
    let found =
        text.lines().any(|line| bare.iter().any(|bare| line.trim_start().starts_with(bare)));
    (is_rust(path) && found).then(|| "a bare allow: use expect with a reason".to_owned())
}

fn finished(path: &str, text: &str) -> Option<String> {
    // Put together here, so that this file does not find itself.
    let signs = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let sign = signs.into_iter().find(|sign| text.contains(sign))?;
    is_rust(path).then(|| format!("{sign}: it is not finished"))
}

fn lints_of_the_workspace(path: &str, text: &str) -> Option<String> {
    let member = path.ends_with("Cargo.toml") && path != "Cargo.toml";
    (member && !text.contains("[lints]\nworkspace = true"))
        .then(|| "it does not take the workspace's lints".to_owned())
}

fn links_lead_somewhere(path: &str, text: &str) -> Option<String> {
    if Path::new(path).extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let folder = root().join(path);
    let folder = folder.parent()?;
    let broken = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .find(|target| !folder.join(target).exists())?;
    Some(format!("it links to {broken}, which is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_finds_what_it_is_for() {
        let long = "x\n".repeat(MOST_LINES + 1);
        let bare = concat!("#[all", "ow(dead_code)]\n");
        let unfinished = concat!("    todo", "!()\n");
        let cases: [(Rule, &str, &str); 5] = [
            (short, "a.rs", &long),
            (no_bare_allow, "a.rs", bare),
            (finished, "a.rs", unfinished),
            (lints_of_the_workspace, "a/Cargo.toml", "[package]\n"),
            (links_lead_somewhere, "README.md", "[x](nowhere.md)"),
        ];
        for (rule, path, text) in cases {
            assert!(rule(path, text).is_some(), "{path} {text}");
            assert_eq!(rule("a.txt", text), None, "{text}");
            assert_eq!(rule(path, "[lints]\nworkspace = true\n"), None, "{path}");
        }
    }
}
