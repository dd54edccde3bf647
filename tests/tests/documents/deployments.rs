//! The tab-separated tables with a column for each deployment.

use super::{
    cells::{self, section},
    reading::{Entry, NOTHING, Pairs, Reading},
};

/// The machines as the document names them, and as roles of the catalog. No name begins another.
const MACHINES: &[(&str, &str)] = &[
    ("DLO Administration Console", "dlo-administration-console"),
    ("DLO Administration Server", "dlo-administration-server"),
    // The document has this name beside the console's in one row: read as it stands.
    ("DLO Administrator Console", "dlo-administrator-console"),
    ("DLO Clients", "dlo-client"),
    ("DLO Dedupe Server", "dlo-dedupe-server"),
    ("DLO Edge Server", "dlo-edge-server"),
    ("DLO IO Server", "dlo-io-server"),
    ("DLO Maintenance Server", "dlo-maintenance-server"),
    ("Dedupe Storage Location", "dedupe-storage-location"),
    ("SQL Server", "sql-server"),
    ("Storage Location", "storage-location"),
    ("Web Restore Machine", "web-restore-machine"),
];

const SCENARIOS: &[(&str, &str)] = &[
    ("Non BOI", "non-boi"),
    ("Exclusive BOI", "exclusive-boi"),
    ("Occasional BOI", "occasional-boi"),
];

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut heading = String::new();
    let mut scenarios = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let cells: Vec<&str> = row.split('\t').map(str::trim).collect();
        match cells.as_slice() {
            [""] => {}
            [title] => heading = section(title),
            ["Process", "Port", "Port Type", titles @ ..] => {
                scenarios = titles.iter().filter_map(|title| scenario(title)).collect();
            }
            // A footnote.
            [_, rest @ ..] if rest.iter().all(|cell| cell.is_empty()) => {}
            [_, ports, transports, deployments @ ..] => {
                let read = (
                    cells::ports(ports),
                    cells::transports(transports),
                    deployments.iter().map(|cell| pairs(cell)).collect::<Option<Vec<Pairs>>>(),
                );
                let (Some(ports), Some(transports), Some(deployments)) = read else {
                    reading.unread.push((line, row.to_owned()));
                    continue;
                };
                if deployments.len() != scenarios.len() {
                    reading.unread.push((line, row.to_owned()));
                }
                for (scenario, pairs) in scenarios.iter().zip(&deployments) {
                    for transport in transports.iter().filter(|_| !pairs.is_empty()) {
                        for ports in &ports {
                            let entry = Entry {
                                section: heading.clone(),
                                scenario: (*scenario).to_owned(),
                                transport: transport.clone(),
                                ports: *ports,
                                endpoint: NOTHING.to_owned(),
                            };
                            reading.add(line, entry, pairs.clone());
                        }
                    }
                }
            }
            _ => reading.unread.push((line, row.to_owned())),
        }
    }
    reading
}

fn scenario(title: &str) -> Option<&'static str> {
    SCENARIOS.iter().find(|(words, _)| title.contains(words)).map(|(_, scenario)| *scenario)
}

/// Every source with every destination.
fn pairs(cell: &str) -> Option<Pairs> {
    if cell == "NA" {
        return Some(Pairs::new());
    }
    let (from, to) = cell.split_once("Destination (Inbound):")?;
    let from = machines(from.strip_prefix("Source (Outbound):")?)?;
    let to = machines(to)?;
    Some(
        from.iter()
            .flat_map(|from| to.iter().map(|to| ((*from).to_owned(), (*to).to_owned())))
            .collect(),
    )
}

/// The machines in a text that has nothing else but marks of footnotes.
fn machines(text: &str) -> Option<Vec<&'static str>> {
    let mut rest = text.trim();
    let mut roles = Vec::new();
    while !rest.is_empty() {
        let (after, role) =
            MACHINES.iter().find_map(|(name, role)| Some((rest.strip_prefix(name)?, *role)))?;
        roles.push(role);
        rest = after.trim_start_matches('*').trim_start();
    }
    (!roles.is_empty()).then_some(roles)
}

#[test]
fn rows_give_every_pair_in_every_deployment() {
    let reading = read(
        "A Title\n\
         Process\tPort\tPort Type\tNon BOI Deployment\tDeployment for Occasional BOI\n\
         Some Process\t1-3, 7\tTCP/UDP\tNA\tSource (Outbound): DLO Clients* SQL Server \
         Destination (Inbound): Storage Location DLO IO Server SQL Server\n\
         Other Process\t1-3\tUDP\tSource (Outbound): SQL Server Destination (Inbound): SQL Server\tNA\n\
         * A note.\t\t\t\t\n\
         Third Process\t9\tTCP\tSource (Outbound): A Printer Destination (Inbound): SQL Server\tNA\n\
         Fourth Process\t9\tTCP\tNA\n\
         Fifth Process\tnine\tTCP\tNA\tNA\n",
    );
    let read: Vec<String> = reading
        .entries
        .iter()
        .map(|(entry, said)| format!("{entry}, {} pairs", said.pairs.len()))
        .collect();
    assert_eq!(
        read,
        [
            "a_title: udp/1-3 in non-boi, 1 pairs",
            "a_title: tcp/1-3 in occasional-boi, 6 pairs",
            "a_title: tcp/7 in occasional-boi, 6 pairs",
            "a_title: udp/1-3 in occasional-boi, 6 pairs",
            "a_title: udp/7 in occasional-boi, 6 pairs",
        ],
    );
    let unread: Vec<usize> = reading.unread.iter().map(|(line, _)| *line).collect();
    assert_eq!(unread, [6, 7, 8]);
}
