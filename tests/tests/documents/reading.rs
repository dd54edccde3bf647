//! What a document or the catalog says of ports, and how two of them differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::cells::Ports;

/// Stands where nothing is said, as in the catalog's facts.
pub(super) const NOTHING: &str = "-";

/// One port in one section.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) scenario: String,
    pub(super) transport: String,
    pub(super) ports: Ports,
    pub(super) endpoint: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}/{}", self.section, self.transport, self.ports)?;
        for (label, value) in [("in", &self.scenario), ("at", &self.endpoint)] {
            if value != NOTHING {
                write!(f, " {label} {value}")?;
            }
        }
        Ok(())
    }
}

/// Who talks to whom.
pub(super) type Pairs = BTreeSet<(String, String)>;

#[derive(Debug, Default)]
pub(super) struct Said {
    /// Where, counted from one.
    pub(super) lines: BTreeSet<usize>,
    /// Empty where the machines are not read.
    pub(super) pairs: Pairs,
}

#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) entries: BTreeMap<Entry, Said>,
    /// Rows that no rule and no exception reads.
    pub(super) unread: Vec<(usize, String)>,
}

impl Reading {
    pub(super) fn add(&mut self, line: usize, entry: Entry, pairs: Pairs) {
        let said = self.entries.entry(entry).or_default();
        said.lines.insert(line);
        said.pairs.extend(pairs);
    }
}

/// Every difference between a document and the catalog's facts of it, each in one line.
pub(super) fn differences(name: &str, document: &Reading, facts: &Reading) -> Vec<String> {
    let mut found = Vec::new();
    for (line, row) in &document.unread {
        found.push(format!("{name}: line {line} cannot be read: {row}"));
    }
    for (entry, said) in &document.entries {
        let lines: Vec<String> = said.lines.iter().map(usize::to_string).collect();
        let place = format!("line {}", lines.join(", "));
        match facts.entries.get(entry) {
            None if said.pairs.is_empty() => {
                found.push(format!("{name}: {entry} is missing ({place})"));
            }
            None => {
                let pairs = only(&said.pairs, &Pairs::new());
                found.push(format!("{name}: {entry} is missing ({place}): {pairs}"));
            }
            Some(fact) if !said.pairs.is_empty() && said.pairs != fact.pairs => {
                found.push(format!(
                    "{name}: {entry} has {} pairs instead of {} ({place}): missing {}; invented {}",
                    fact.pairs.len(),
                    said.pairs.len(),
                    only(&said.pairs, &fact.pairs),
                    only(&fact.pairs, &said.pairs),
                ));
            }
            Some(_) => {}
        }
    }
    for entry in facts.entries.keys().filter(|entry| !document.entries.contains_key(entry)) {
        found.push(format!("{name}: {entry} is invented"));
    }
    found
}

/// The pairs that only the first of both has.
fn only(first: &Pairs, second: &Pairs) -> String {
    let pairs: Vec<String> =
        first.difference(second).map(|(from, to)| format!("{from} to {to}")).collect();
    if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") }
}
