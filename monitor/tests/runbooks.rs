//! The pages that alerts lead to: their list, and the commands of backupflow that they tell people to type.
//!
//! `BLESS=1` writes the list of causes anew: look at the difference.

#![expect(clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fmt::Write as _, fs, path::Path};

use clap::Parser as _;
use monitor::{cli::Arguments, discrepancy::Cause};

/// The commands in the fenced blocks of a page: what stands on a line, with those that go on with it, before its
/// comment, between semicolons and pipes.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for block in page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap_or(line);
            for command in line.split([';', '|', '>', '&']) {
                let words = command.split_whitespace().filter(|word| *word != "sudo");
                let words: Vec<String> = words.map(ToOwned::to_owned).collect();
                if words.first().is_some_and(|program| program == "backupflow") {
                    commands.push(words);
                }
            }
        }
    }
    commands
}

#[test]
fn every_command_in_the_documents_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["docs/runbooks", "docs", "."].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let pages = files.map(|file| file.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut checked = 0;
    for page in pages {
        for command in commands(&fs::read_to_string(&page).unwrap()) {
            let parsed = Arguments::try_parse_from(&command);
            assert!(parsed.is_ok(), "{}: {command:?}\n{}", page.display(), parsed.unwrap_err());
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked}");
}

#[test]
fn listed_causes_are_these() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbooks");
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for cause in Cause::ALL {
        let page = fs::read_to_string(folder.join(format!("{cause}.md"))).unwrap_or_default();
        let mut lines = page.lines();
        let kind = lines.find_map(|line| line.strip_prefix("*Kind: ")?.strip_suffix(".*"));
        let kind = kind.unwrap_or_default();
        assert_ne!(kind, "", "docs/runbooks/{cause}.md has no line *Kind: this host's network.*");
        let link = format!("[{cause}]({cause}.md)");
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, links)) => links.push(link),
            None => kinds.push((kind.to_owned(), vec![link])),
        }
    }
    let readme = folder.join("README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, _) = text.split_once("## Causes\n").unwrap();
    let mut list = format!("{before}## Causes\n\n| kind | pages |\n|---|---|\n");
    for (kind, links) in kinds {
        writeln!(list, "| {kind} | {} |", links.join(", ")).unwrap();
    }
    blessed::compare(&readme, &list, "cargo test -p monitor --test runbooks");
}
