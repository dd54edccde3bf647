//! What `catalog facts` prints, and how it differs from what a document says.

use std::{collections::BTreeSet, fmt::Debug};

use super::Port;

/// One line of `catalog facts`.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) document: String,
    pub(super) section: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) port: Port,
    pub(super) scenario: String,
    pub(super) endpoint: String,
}

const HEADER: &str = "product\tdocument\tsection\tfrom\tto\ttransport\tport_first\tport_last\tscenario\trequirement\ttraffic\tendpoint";

/// Reads the output of the command.
pub(super) fn facts(text: &str) -> Vec<Fact> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HEADER));
    lines.map(fact).collect()
}

fn fact(line: &str) -> Fact {
    let columns: Vec<&str> = line.split('\t').collect();
    let [_, document, section, from, to, transport, first, last, scenario, _, _, endpoint] =
        columns.as_slice()
    else {
        panic!("{line}");
    };
    let transport = match *transport {
        "tcp" => "tcp",
        "udp" => "udp",
        other => panic!("{other}: {line}"),
    };
    Fact {
        document: (*document).to_owned(),
        section: (*section).to_owned(),
        from: (*from).to_owned(),
        to: (*to).to_owned(),
        port: Port { transport, first: (*first).to_owned(), last: (*last).to_owned() },
        scenario: (*scenario).to_owned(),
        endpoint: if *endpoint == "-" { String::new() } else { (*endpoint).to_owned() },
    }
}

impl Fact {
    /// Who, whom, where to and in which scenario, whatever the section and the endpoint.
    pub(super) fn without_place(&self) -> (&str, &str, &Port, &str) {
        (&self.from, &self.to, &self.port, &self.scenario)
    }
}

pub(super) fn ports_by_section(facts: &[Fact]) -> BTreeSet<(String, Port)> {
    facts.iter().map(|fact| (fact.section.clone(), fact.port.clone())).collect()
}

/// What one side has and the other has not, a line each.
pub(super) fn differences<T: Ord + Debug>(
    document: &BTreeSet<T>,
    catalog: &BTreeSet<T>,
) -> Vec<String> {
    let missing = document.difference(catalog).map(|item| format!("not in the catalog: {item:?}"));
    let invented =
        catalog.difference(document).map(|item| format!("not in the document: {item:?}"));
    missing.chain(invented).collect()
}

#[test]
fn differences_are_found_both_ways() {
    let line = "p\td\ts\ta\tb\ttcp\t1\t1\t-\trequired\t-\t-";
    let text = |lines: &[&str]| format!("{HEADER}\n{}\n", lines.join("\n"));
    let good = ports_by_section(&facts(&text(&[line])));
    let same = differences(&good, &good);
    assert_eq!(same, [""; 0]);
    let dropped = differences(&good, &ports_by_section(&facts(&text(&[]).replace("\n\n", "\n"))));
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    let added = ports_by_section(&facts(&text(&[line, &line.replace("\t1\t1\t", "\t1\t2\t")])));
    assert_eq!(differences(&good, &added).len(), 1);
    let changed = ports_by_section(&facts(&text(&[&line.replace("tcp", "udp")])));
    assert_eq!(differences(&good, &changed).len(), 2);
    let moved = ports_by_section(&facts(&text(&[&line.replace("\ts\t", "\tt\t")])));
    assert_eq!(differences(&good, &moved).len(), 2);
}
