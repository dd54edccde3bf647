//! What `backupflow catalog facts` prints.

use std::{collections::BTreeSet, iter};

use super::{
    cells::Ports,
    reading::{Entry, NOTHING, Pairs, Reading},
};

pub(super) const HEADER: &str = "product\tdocument\tsection\tfrom\tto\ttransport\tport_first\tport_last\t\
                      scenario\trequirement\ttraffic\tendpoint";

/// One line of it.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) document: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) entry: Entry,
    line: usize,
}

/// The parts of a fact that a count or a comparison tells apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) section: bool,
    pub(super) scenario: bool,
    pub(super) endpoint: bool,
}

impl Fact {
    fn entry(&self, parts: Parts) -> Entry {
        let kept = |keep: bool, value: &String| {
            if keep { value.clone() } else { NOTHING.to_owned() }
        };
        Entry {
            section: kept(parts.section, &self.entry.section),
            scenario: kept(parts.scenario, &self.entry.scenario),
            endpoint: kept(parts.endpoint, &self.entry.endpoint),
            transport: self.entry.transport.clone(),
            ports: self.entry.ports,
        }
    }
}

pub(super) fn read(text: &str) -> Vec<Fact> {
    let mut lines = (1..).zip(text.lines());
    assert_eq!(lines.next(), Some((1, HEADER)));
    lines
        .map(|(line, row)| {
            let cells: Vec<&str> = row.split('\t').collect();
            let [_, document, section, from, to, transport, first, last, scenario, _, _, endpoint] =
                cells.as_slice()
            else {
                panic!("line {line} of the facts has {} columns: {row}", cells.len());
            };
            let ports = match (*first, *last) {
                ("dynamic", "dynamic") => Some(Ports::Dynamic),
                (first, last) => Ports::read(&format!("{first}-{last}")),
            };
            let entry = Entry {
                section: (*section).to_owned(),
                scenario: (*scenario).to_owned(),
                transport: (*transport).to_owned(),
                ports: ports.unwrap_or_else(|| panic!("the ports in line {line}: {row}")),
                endpoint: (*endpoint).to_owned(),
            };
            Fact {
                document: (*document).to_owned(),
                from: (*from).to_owned(),
                to: (*to).to_owned(),
                entry,
                line,
            }
        })
        .collect()
}

/// What they say of a document.
pub(super) fn reading(facts: &[Fact], document: &str, parts: Parts) -> Reading {
    let mut reading = Reading::default();
    for fact in facts.iter().filter(|fact| fact.document == document) {
        let pairs: Pairs = iter::once((fact.from.clone(), fact.to.clone())).collect();
        reading.add(fact.line, fact.entry(parts), pairs);
    }
    reading
}

/// How many different ones there are of a document, in a scenario if one is given.
pub(super) fn count(facts: &[Fact], document: &str, scenario: Option<&str>, parts: Parts) -> usize {
    let different: BTreeSet<(&str, &str, Entry)> = facts
        .iter()
        .filter(|fact| fact.document == document)
        .filter(|fact| scenario.is_none_or(|scenario| fact.entry.scenario == scenario))
        .map(|fact| (&*fact.from, &*fact.to, fact.entry(parts)))
        .collect();
    different.len()
}
