//! Tables with tabs between the columns, one column for each scenario.

use std::collections::BTreeSet;

use super::{Port, compare::Fact};

const SCENARIOS: [&str; 3] = ["non-boi", "exclusive-boi", "occasional-boi"];

/// Machines as the document calls them, longer names before those that they contain, and their roles.
const MACHINES: [(&str, &str); 12] = [
    ("DLO Administration Server", "dlo-administration-server"),
    ("DLO Administration Console", "dlo-administration-console"),
    ("DLO Administrator Console", "dlo-administration-console"),
    ("DLO Dedupe Server", "dlo-dedupe-server"),
    ("DLO Maintenance Server", "dlo-maintenance-server"),
    ("DLO Edge Server", "dlo-edge-server"),
    ("DLO IO Server", "dlo-io-server"),
    ("DLO Clients", "dlo-client"),
    ("Web Restore Machine", "web-restore-machine"),
    ("Dedupe Storage Location", "dedupe-storage-location"),
    ("Storage Location", "storage-location"),
    ("SQL Server", "sql-server"),
];

/// One machine that connects to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    section: String,
    scenario: String,
    from: String,
    to: String,
    port: Port,
}

impl Row {
    pub(super) fn of_fact(fact: &Fact) -> Self {
        Self {
            section: fact.section.clone(),
            scenario: fact.scenario.clone(),
            from: fact.from.clone(),
            to: fact.to.clone(),
            port: fact.port.clone(),
        }
    }
}

/// Every pair of machines of every row, by scenario and port.
pub(super) fn rows(text: &str) -> BTreeSet<Row> {
    let mut rows = BTreeSet::new();
    let mut section = String::new();
    for line in text.lines() {
        if line.starts_with("Port Configuration for") {
            section = line.trim().to_lowercase().replace(' ', "_");
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [process, ports, kind, scenarios @ ..] = columns.as_slice() else { continue };
        if *process == "Process" || scenarios.len() != SCENARIOS.len() || ports.is_empty() {
            continue;
        }
        for (scenario, cell) in SCENARIOS.into_iter().zip(scenarios) {
            let Some((from, to)) = ends(cell) else { continue };
            for port in self::ports(ports, kind) {
                for from in &from {
                    rows.extend(to.iter().map(|to| Row {
                        section: section.clone(),
                        scenario: scenario.to_owned(),
                        from: (*from).to_owned(),
                        to: (*to).to_owned(),
                        port: port.clone(),
                    }));
                }
            }
        }
    }
    rows
}

/// Who connects to whom; `None` where the scenario has no such flow.
fn ends(cell: &str) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
    let cell = cell.trim();
    if cell == "NA" {
        return None;
    }
    let (from, to) = cell.split_once("Destination (Inbound):")?;
    Some((machines(from.trim_start_matches("Source (Outbound):")), machines(to)))
}

fn machines(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches([' ', '*']);
    while !rest.is_empty() {
        let mut known = MACHINES.iter().filter_map(|(name, role)| {
            let after = rest.strip_prefix(name)?;
            Some((*role, after.trim_start_matches([' ', '*'])))
        });
        let (role, after) = known.next().unwrap();
        found.push(role);
        rest = after;
    }
    found
}

/// Single ports, true ranges, and `dynamic` where no number is given for it.
fn ports(cell: &str, kind: &str) -> Vec<Port> {
    let transports: &[&str] = match kind {
        "TCP/UDP" => &["tcp", "udp"],
        "UDP" => &["udp"],
        "TCP" | "HTTP" | "HTTPS" | "AJP" => &["tcp"],
        other => panic!("{other}"),
    };
    let cell = cell.replace(['–', '('], "-").replace(" - ", "-");
    let mut spans: Vec<(String, String)> = Vec::new();
    for word in cell.split([',', ' ', ')']) {
        let word = word.trim_matches('-');
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        if first.parse::<u16>().is_ok() {
            spans.push((first.to_owned(), last.to_owned()));
        }
    }
    if cell.contains("dynamic port") {
        spans.push(("dynamic".to_owned(), "dynamic".to_owned()));
    }
    let of_span = |(first, last): &(String, String)| {
        let (first, last) = (first.clone(), last.clone());
        transports.iter().map(move |transport| Port {
            transport: if *transport == "tcp" { "tcp" } else { "udp" },
            first: first.clone(),
            last: last.clone(),
        })
    };
    spans.iter().flat_map(of_span).collect()
}

#[test]
fn ports_and_machines_are_read() {
    let written = |cell, kind| {
        let ports = ports(cell, kind);
        ports.iter().map(|p| format!("{}{}-{}", p.transport, p.first, p.last)).collect::<Vec<_>>()
    };
    assert_eq!(written("1-9, 20", "TCP/UDP"), ["tcp1-9", "udp1-9", "tcp20-20", "udp20-20"]);
    assert_eq!(written("14 or dynamic port", "TCP"), ["tcp14-14", "tcpdynamic-dynamic"]);
    assert_eq!(written("5, 6 Dynamic Ports (70 – 80)", "TCP"), ["tcp5-5", "tcp6-6", "tcp70-80"]);
    assert_eq!(
        machines(" DLO Clients* Web Restore Machine "),
        ["dlo-client", "web-restore-machine"]
    );
    assert_eq!(
        machines("Dedupe Storage Location SQL Server"),
        ["dedupe-storage-location", "sql-server"]
    );
    assert_eq!(ends("NA"), None);
}
