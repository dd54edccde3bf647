//! The catalog says what the vendors' documents say. The documents are read here anew, by readers
//! that share nothing with the catalog.

mod cells;
mod comparison;
mod counts;
mod deployments;
mod facts;
mod headings;
mod hosts;
mod reading;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tests::{binary, command};

use facts::{Fact, Parts};
use reading::{Reading, differences};

/// A document: how the catalog names it, and how its file's name begins.
struct Document {
    id: &'static str,
    file: &'static str,
    read: fn(&str) -> Reading,
    /// What the document has of these.
    parts: Parts,
}

const PORTS: Parts = Parts { section: true, scenario: false, endpoint: false };
const HOSTS: Parts = Parts { endpoint: true, ..PORTS };

const CHINESE: Document =
    Document { id: "ibm-cloud-backup-zh-2019", file: "000_", read: hosts::read, parts: HOSTS };
const KOREAN: Document =
    Document { id: "ibm-cloud-backup-ko-2018", file: "001_", read: hosts::read, parts: HOSTS };
const NAT_FIREWALL: Document = Document {
    id: "gigavault-storage-nat-firewall",
    file: "002_",
    read: headings::read,
    parts: PORTS,
};
const DLO: Document = Document {
    id: "arctera-dlo-10.0-ports",
    file: "003_",
    read: deployments::read,
    parts: Parts { scenario: true, ..PORTS },
};
const RECOVERY: Document = Document {
    id: "ibm-backup-recovery-ports-2025",
    file: "004_",
    read: tables::read,
    parts: PORTS,
};

impl Document {
    /// Its text for a check, or none and a notice where the documents are not at hand.
    fn text(&self, check: &str) -> Option<String> {
        let folder = env::var_os("BACKUPFLOW_DOCUMENTS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("../shared/seeds"),
            PathBuf::from,
        );
        if !folder.try_exists().unwrap() {
            self.notice(check, &folder);
            return None;
        }
        let file = fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap())
            .find(|file| file.file_name().to_string_lossy().starts_with(self.file))
            .unwrap_or_else(|| panic!("no file {}* is in {}", self.file, folder.display()));
        Some(fs::read_to_string(file.path()).unwrap())
    }

    /// Written past the test's captured output, so that nobody takes this for a check.
    fn notice(&self, check: &str, folder: &Path) {
        let line = "=".repeat(80);
        writeln!(
            io::stderr(),
            "\n{line}\nNOT CHECKED: {check}, against the document {}.\n\
             There is no folder {}.\n\
             Name the folder of the documents in BACKUPFLOW_DOCUMENTS and run this again:\n\
             BACKUPFLOW_DOCUMENTS=folder cargo test -p tests documents\n{line}",
            self.id,
            folder.display(),
        )
        .unwrap();
    }

    fn is_what_the_catalog_says(&self) {
        let Some(text) = self.text("the ports of the catalog") else {
            return;
        };
        let document = (self.read)(&text);
        assert!(!document.entries.is_empty(), "nothing was read of {}", self.id);
        let facts = facts::reading(&catalog(), self.id, self.parts);
        let found = differences(self.id, &document, &facts);
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    }
}

fn backupflow(arguments: &[&str]) -> String {
    let output = command::output(command::program(binary()).args(arguments));
    let (stdout, stderr) = command::text(&output);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    stdout
}

fn catalog() -> Vec<Fact> {
    facts::read(&backupflow(&["catalog", "facts"]))
}

#[test]
fn chinese_page_of_cloud_backup() {
    CHINESE.is_what_the_catalog_says();
}

#[test]
fn korean_page_of_cloud_backup() {
    KOREAN.is_what_the_catalog_says();
}

#[test]
fn page_of_nat_and_firewalls() {
    NAT_FIREWALL.is_what_the_catalog_says();
}

#[test]
fn tables_of_the_desktop_and_laptop_option() {
    DLO.is_what_the_catalog_says();
}

#[test]
fn tables_of_backup_and_recovery() {
    RECOVERY.is_what_the_catalog_says();
}

/// The facts name a host by its name alone, so its address comes from the list of the flows.
#[test]
fn addresses_of_the_hosts_of_cloud_backup() {
    let json =
        backupflow(&["catalog", "list", "--product", "ibm-cloud-backup", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let mut listed = BTreeMap::<String, BTreeSet<String>>::new();
    let flows = json["products"][0]["flow"].as_array().unwrap();
    for endpoint in flows.iter().filter_map(|flow| flow["endpoints"].as_array()).flatten() {
        if let Some(name) = endpoint["name"].as_str() {
            let addresses = endpoint["addresses"].as_array().into_iter().flatten();
            listed
                .entry(name.to_owned())
                .or_default()
                .extend(addresses.map(|address| address.as_str().unwrap().to_owned()));
        }
    }
    for document in [CHINESE, KOREAN] {
        if let Some(text) = document.text("the addresses of the catalog") {
            assert_eq!(listed, hosts::addresses(&text), "{}", document.id);
        }
    }
}
