//! How much the documents have, in numbers that hold without them.

use std::collections::BTreeSet;

use super::{
    CHINESE, DLO, KOREAN, NAT_FIREWALL, RECOVERY, catalog,
    facts::{self, Parts},
};

/// Different pairs of machines with a transport and ports, in each scenario of `DLO`.
const DEPLOYMENTS: &[(&str, usize)] =
    &[("non-boi", 84), ("exclusive-boi", 101), ("occasional-boi", 124)];

/// Sections of `RECOVERY` that name ports.
const SECTIONS: usize = 51;

#[test]
fn counts_are_those_of_the_documents() {
    let facts = catalog();
    let pairs = Parts { section: false, scenario: true, endpoint: false };
    let mut wrong = Vec::new();
    let of_scenarios = DEPLOYMENTS.iter().map(|(scenario, expected)| (Some(*scenario), *expected));
    let of_all = DEPLOYMENTS.iter().map(|(_, expected)| expected).sum();
    for (scenario, expected) in of_scenarios.chain([(None, of_all)]) {
        let count = facts::count(&facts, DLO.id, scenario, pairs);
        if count != expected {
            let scenario = scenario.unwrap_or("all scenarios");
            wrong.push(format!("{}: {count} in {scenario}, expected {expected}", DLO.id));
        }
    }
    for (document, parts, least) in [
        (CHINESE, Parts { endpoint: true, ..pairs }, 26),
        (KOREAN, Parts { endpoint: true, ..pairs }, 26),
        (NAT_FIREWALL, pairs, 12),
        (RECOVERY, Parts { section: true, ..pairs }, 320),
    ] {
        let count = facts::count(&facts, document.id, None, parts);
        if count < least {
            wrong.push(format!("{}: {count}, expected at least {least}", document.id));
        }
    }
    let sections: BTreeSet<&str> = facts
        .iter()
        .filter(|fact| fact.document == RECOVERY.id)
        .map(|fact| &*fact.entry.section)
        .collect();
    if sections.len() != SECTIONS {
        wrong.push(format!("{}: {} sections, expected {SECTIONS}", RECOVERY.id, sections.len()));
    }
    assert!(
        wrong.is_empty(),
        "the catalog has another number of ports than the documents:\n{}\n\
         Compare it with the documents (BACKUPFLOW_DOCUMENTS); only another edition changes the numbers in {}",
        wrong.join("\n"),
        file!(),
    );
}

/// The expected numbers are no guess of this file.
#[test]
fn documents_have_the_expected_counts() {
    if let Some(text) = DLO.text("the expected counts") {
        let reading = (DLO.read)(&text);
        for &(scenario, expected) in DEPLOYMENTS {
            let different: BTreeSet<_> = reading
                .entries
                .iter()
                .filter(|(entry, _)| entry.scenario == scenario)
                .flat_map(|(entry, said)| {
                    said.pairs.iter().map(move |pair| (pair, &entry.transport, entry.ports))
                })
                .collect();
            assert_eq!(different.len(), expected, "{scenario}");
        }
    }
    if let Some(text) = RECOVERY.text("the expected counts") {
        let reading = (RECOVERY.read)(&text);
        let sections: BTreeSet<&str> =
            reading.entries.keys().map(|entry| &*entry.section).collect();
        assert_eq!(sections.len(), SECTIONS, "{sections:?}");
    }
}

#[test]
fn every_fact_is_of_a_document_that_is_read_here() {
    let facts = catalog();
    let known = [CHINESE, KOREAN, NAT_FIREWALL, DLO, RECOVERY].map(|document| document.id);
    let named: BTreeSet<&str> = facts.iter().map(|fact| &*fact.document).collect();
    assert_eq!(named, BTreeSet::from(known));
}

#[test]
fn roles_are_in_lower_case_with_dashes() {
    let facts = catalog();
    let roles: BTreeSet<&str> = facts.iter().flat_map(|fact| [&*fact.from, &*fact.to]).collect();
    let wrong: Vec<&str> = roles
        .into_iter()
        .filter(|role| {
            role.split('-').any(|word| {
                word.is_empty()
                    || !word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
