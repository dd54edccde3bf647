//! The catalog against the vendors' documents, read once more by small readers of this test's own.
//!
//! The documents are not part of the project: they are looked for in `../shared/seeds` beside it, or
//! in the folder that `BACKUPFLOW_DOCUMENTS` names.

mod compare;
mod lists;
mod markdown;
mod tabs;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
};

use tests::{binary, command};

use compare::{Fact, differences, facts, ports_by_section};

/// A port or range of a transport, as the columns of a fact have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    transport: &'static str,
    first: String,
    last: String,
}

impl Port {
    fn single(transport: &'static str, port: &str) -> Self {
        Self { transport, first: port.to_owned(), last: port.to_owned() }
    }
}

const CHINESE: &str = "ibm-cloud-backup-zh-2019";
const KOREAN: &str = "ibm-cloud-backup-ko-2018";
const VAULT: &str = "gigavault-storage-nat-firewall";
const DLO: &str = "arctera-dlo-10.0-ports";
const RECOVERY: &str = "ibm-backup-recovery-ports-2025";

fn all_facts() -> Vec<Fact> {
    let output = command::output(command::program(binary()).args(["catalog", "facts"]));
    let (stdout, stderr) = command::text(&output);
    assert!(output.status.success(), "{stderr}");
    facts(&stdout)
}

fn facts_of(document: &str) -> Vec<Fact> {
    all_facts().into_iter().filter(|fact| fact.document == document).collect()
}

/// The text of a document, by how its file's name begins; where there is none, that is said aloud.
fn document(number: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/seeds");
    let folder = env::var_os("BACKUPFLOW_DOCUMENTS").map_or(beside, PathBuf::from);
    let files = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files = files.filter(|file| file.file_name().to_string_lossy().starts_with(number));
    let Some(file) = files.next() else {
        // Not by a macro: the test harness would keep that to itself.
        let notice = format!(
            "\nNOT CHECKED: the catalog against the vendor's document {number}, which is not in {}.\n\
             Set BACKUPFLOW_DOCUMENTS to the folder with the documents.\n",
            folder.display()
        );
        io::stderr().write_all(notice.as_bytes()).unwrap();
        return None;
    };
    Some(fs::read_to_string(file.path()).unwrap())
}

/// The sections and ports of a document, against those of the facts, both ways.
#[track_caller]
fn compare_ports(name: &str, expected: &BTreeSet<(String, Port)>) {
    let found = ports_by_section(&facts_of(name));
    let differences = differences(expected, &found);
    assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
}

#[test]
fn tables_of_backup_and_recovery_are_in_the_catalog() {
    let Some(text) = document("004") else { return };
    let mut expected = markdown::ports(&text);
    // The remark beside the mail server's ports: or a random one.
    expected.insert(("smtp".to_owned(), Port::single("tcp", "dynamic")));
    let sections: BTreeSet<&String> = expected.iter().map(|(section, _)| section).collect();
    assert_eq!(sections.len(), 51);
    compare_ports(RECOVERY, &expected);
}

#[test]
fn tables_of_desktop_and_laptop_option_are_in_the_catalog() {
    let Some(text) = document("003") else { return };
    let expected = tabs::rows(&text);
    let found: BTreeSet<tabs::Row> = facts_of(DLO).iter().map(tabs::Row::of_fact).collect();
    let differences = differences(&expected, &found);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn headings_of_gigavault_storage_are_in_the_catalog() {
    let Some(text) = document("002") else { return };
    let expected = lists::headings(&text);
    assert_eq!(expected.len(), 9);
    compare_ports(VAULT, &expected);
}

#[test]
fn hosts_of_ibm_cloud_backup_are_in_the_catalog() {
    for (number, name) in [("000", CHINESE), ("001", KOREAN)] {
        let Some(text) = document(number) else { continue };
        let expected = lists::hosts(&text);
        let found: BTreeSet<lists::Host> =
            facts_of(name).iter().map(lists::Host::of_fact).collect();
        let differences = differences(&expected, &found);
        assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
    }
}

#[test]
fn documents_say_as_much_as_was_counted_in_them() {
    let all = all_facts();
    let of = |document: &'static str| all.iter().filter(move |fact| fact.document == document);
    let in_scenario = |scenario| of(DLO).filter(|fact| fact.scenario == scenario).count();
    assert_eq!(in_scenario("non-boi"), 84);
    assert_eq!(in_scenario("exclusive-boi"), 101);
    assert_eq!(in_scenario("occasional-boi"), 124);
    assert_eq!(of(DLO).count(), 309);
    assert_eq!(of(VAULT).count(), 25);
    for document in [CHINESE, KOREAN] {
        assert_eq!(of(document).count(), 26);
    }
    let recovery: Vec<&Fact> = of(RECOVERY).collect();
    let sections: BTreeSet<&str> = recovery.iter().map(|fact| fact.section.as_str()).collect();
    assert_eq!(sections.len(), 51);
    let with_section: BTreeSet<_> =
        recovery.iter().map(|fact| (&fact.section, fact.without_place())).collect();
    assert!(with_section.len() > 320, "{}", with_section.len());
    for fact in &all {
        for role in [&fact.from, &fact.to] {
            let is_id =
                role.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(is_id && !role.is_empty(), "{role}");
        }
    }
}
