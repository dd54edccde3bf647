//! `tidy`: rules of this house that no compiler checks.

use std::{fs, path::Path};

use anyhow::bail;

use crate::command::{output, program, root};

/// Rust files are split before they are longer.
const MOST_LINES: usize = 400;

/// What a rule says of a file: what is wrong, if anything.
type Rule = fn(path: &str, text: &str) -> Option<String>;

const RULES: &[Rule] = &[
    short,
    no_bare_allow,
    finished,
    unsafe_is_expected,
    lints_of_the_workspace,
    links_lead_somewhere,
    of_no_machine,
];

// Put together here, so that this file does not find itself.
const ALLOWS: &[&str] = &[concat!("#[all", "ow("), concat!("#![all", "ow(")];
const UNFINISHED: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const MACHINES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/", "bash_"),
];
const UNSAFE: &[&str] = &[
    concat!("uns", "afe {"),
    concat!("uns", "afe fn "),
    concat!("uns", "afe impl "),
    concat!("uns", "afe extern "),
];

/// Checks every file that git knows or would add.
pub(crate) fn run() -> anyhow::Result<()> {
    let words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = output(&mut program(&words))?;
    let mut findings = 0;
    for path in listed.lines() {
        // A file that is not text, or is gone from the work tree, has nothing to check.
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        for what in RULES.iter().filter_map(|rule| rule(path, &text)) {
            println!("{path}: {what}");
            findings += 1;
        }
    }
    if findings > 0 {
        bail!("rules of this house that do not hold: {findings}");
    }
    println!("tidy: the rules of this house hold in {} files", listed.lines().count());
    Ok(())
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The first of these that a line has before its comment, and the line's number.
fn find(text: &str, signs: &[&'static str]) -> Option<(usize, &'static str)> {
    (1..).zip(text.lines()).find_map(|(number, line)| {
        let code = line.split("// ").next().unwrap_or(line);
        signs.iter().find(|sign| code.contains(**sign)).map(|sign| (number, *sign))
    })
}

fn short(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (is_rust(path) && lines > MOST_LINES).then(|| format!("{lines} lines, more than {MOST_LINES}"))
}

fn no_bare_allow(path: &str, text: &str) -> Option<String> {
    let (line, _) = find(text, ALLOWS).filter(|_| is_rust(path))?;
    Some(format!("line {line}: a bare allow: use expect with a reason"))
}

fn finished(path: &str, text: &str) -> Option<String> {
    // These stand in comments too.
    let sign = UNFINISHED.iter().find(|sign| is_rust(path) && text.contains(**sign))?;
    Some(format!("{sign}: it is not finished"))
}

fn unsafe_is_expected(path: &str, text: &str) -> Option<String> {
    let (line, _) = find(text, UNSAFE).filter(|_| is_rust(path))?;
    (!text.contains("expect(unsafe_code"))
        .then(|| format!("line {line}: unsafe code without #![expect(unsafe_code, reason = …)]"))
}

fn lints_of_the_workspace(path: &str, text: &str) -> Option<String> {
    // What has a workspace of its own is no member of this one.
    let is_member = path.ends_with("/Cargo.toml") && !text.contains("\n[workspace]\n");
    (is_member && !text.contains("[lints]\nworkspace = true"))
        .then(|| "it does not take the workspace's lints".to_owned())
}

fn links_lead_somewhere(path: &str, text: &str) -> Option<String> {
    if Path::new(path).extension()? != "md" {
        return None;
    }
    let folder = root().join(path).parent()?.to_owned();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let broken = targets
        .filter_map(|(target, _)| target.split('#').next())
        .find(|file| !file.contains(':') && !folder.join(file).exists())?;
    Some(format!("it links to {broken}, which is not there"))
}

fn of_no_machine(_path: &str, text: &str) -> Option<String> {
    let sign = MACHINES.iter().find(|sign| text.contains(**sign))?;
    Some(format!("{sign}: a path of somebody's machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_finds_what_it_is_for() {
        let long = "x\n".repeat(MOST_LINES + 1);
        let cases: [(Rule, &str, &str); 10] = [
            (short, "a.rs", &long),
            (no_bare_allow, "a.rs", concat!("  #[all", "ow(dead_code)]\n")),
            (no_bare_allow, "a.rs", concat!("#![all", "ow(dead_code)]\n")),
            (finished, "a.rs", concat!("    to", "do!()\n")),
            (finished, "a.rs", concat!("// FIX", "ME: no\n")),
            (unsafe_is_expected, "a.rs", concat!("let x = uns", "afe { y() };\n")),
            (lints_of_the_workspace, "a/Cargo.toml", "[package]\n"),
            (links_lead_somewhere, "README.md", "[x](nowhere.md)"),
            (links_lead_somewhere, "README.md", "[x](README.md) [y](nowhere.md#part)"),
            (of_no_machine, "a.md", concat!("see /ro", "ot/x")),
        ];
        for (rule, path, text) in cases {
            assert!(rule(path, text).is_some(), "{path} {text}");
            assert_eq!(rule(path, "[lints]\nworkspace = true\n"), None, "{path}");
        }
    }

    #[test]
    fn what_is_right_is_not_found() {
        let good: [(&str, &str); 7] = [
            ("a.rs", concat!("#![expect(unsafe_code, reason = \"x\")]\nuns", "afe { y() };\n")),
            ("a.rs", concat!("// SAFETY: an uns", "afe { } in words\n")),
            ("a.rs", "#[expect(dead_code, reason = \"later\")]\n"),
            ("README.md", "[x](README.md#part) [y](https://example.com/z) [z](#here)"),
            ("Cargo.toml", "[workspace]\n"),
            ("a/Cargo.toml", "[package]\n[workspace]\n"),
            ("a.txt", concat!("to", "do!( of something else")),
        ];
        for (path, text) in good {
            let found: Vec<String> = RULES.iter().filter_map(|rule| rule(path, text)).collect();
            assert_eq!(found, [""; 0], "{path} {text}");
        }
    }
}
