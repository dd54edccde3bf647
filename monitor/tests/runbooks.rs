//! Commands of backupflow that pages tell people to type.

#![expect(clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fs, path::Path};

use clap::Parser as _;
use monitor::cli::Arguments;

/// The commands in the fenced blocks of a page: what stands on a line before its comment, between
/// semicolons and pipes.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for block in page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
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
