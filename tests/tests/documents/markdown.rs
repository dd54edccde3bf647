//! Tables of a Markdown document, the sections by their anchors.

use std::collections::BTreeSet;

use super::Port;

/// Every port of every table, with its section.
pub(super) fn ports(text: &str) -> BTreeSet<(String, Port)> {
    let mut ports = BTreeSet::new();
    let mut section = String::new();
    let mut heading = 0;
    let mut table: Option<Table> = None;
    for line in text.lines() {
        let line = line.strip_prefix("> ").unwrap_or(line);
        let hashes = line.chars().take_while(|c| *c == '#').count();
        if hashes > 0 {
            heading = hashes;
            // Below the third level there are only directions.
            if heading <= 3 {
                section = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "_");
            }
        } else if heading <= 3
            && let Some(anchor) = line.strip_prefix("{: #")
        {
            section = without_keywords(anchor.strip_suffix('}').unwrap());
        }
        let Some(cells) = cells(line) else {
            table = None;
            continue;
        };
        match &mut table {
            None => table = Some(Table::new(&cells)),
            Some(table) => {
                let found = table.row(&cells);
                ports.extend(found.into_iter().map(|port| (section.clone(), port)));
            }
        }
    }
    ports
}

/// `{{site.data.keyword.X}}` is `X`.
fn without_keywords(anchor: &str) -> String {
    let mut text = anchor.to_owned();
    while let Some((before, rest)) = text.split_once("{{site.data.keyword.") {
        let (keyword, after) = rest.split_once("}}").unwrap();
        text = format!("{before}{keyword}{after}");
    }
    text
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

/// A table, with what the rows after may leave out.
struct Table {
    columns: usize,
    port: Option<usize>,
    protocol: Option<usize>,
    ports: Vec<String>,
    transports: Vec<&'static str>,
}

impl Table {
    fn new(header: &[&str]) -> Self {
        let column = |name: &str| header.iter().position(|cell| cell.contains(name));
        Self {
            columns: header.len(),
            port: column("Port"),
            protocol: column("Protocol"),
            ports: Vec::new(),
            transports: Vec::new(),
        }
    }

    /// The ports of a row. One with fewer cells than columns goes on from the row above: its port is
    /// the cell of digits, its protocol the cell that names one.
    fn row(&mut self, cells: &[&str]) -> Vec<Port> {
        let (Some(port), Some(protocol)) = (self.port, self.protocol) else {
            return Vec::new();
        };
        if cells.iter().all(|cell| cell.chars().all(|c| c == '-')) {
            return Vec::new();
        }
        if cells.len() == self.columns {
            self.ports = numbers(cells[port]);
            self.transports = transports(cells[protocol]).unwrap();
        } else {
            let is_ports = |cell: &&&str| {
                cell.chars().any(|c| c.is_ascii_digit())
                    && cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' '))
            };
            if let Some(cell) = cells.iter().find(is_ports) {
                self.ports = numbers(cell);
            }
            if let Some(found) = cells.iter().find_map(|cell| transports(cell)) {
                self.transports = found;
            }
        }
        let transports = &self.transports;
        let of_port = |port: &String| {
            let port = port.clone();
            transports.iter().map(move |transport| Port::single(transport, &port))
        };
        self.ports.iter().flat_map(of_port).collect()
    }
}

/// The numbers in a cell, which are ports.
fn numbers(cell: &str) -> Vec<String> {
    cell.split(|c: char| !c.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What a cell of protocols means. NFS is read as its usual transport.
fn transports(cell: &str) -> Option<Vec<&'static str>> {
    match cell {
        "TCP" | "TCP/IP" | "NFS" => Some(vec!["tcp"]),
        "UDP" => Some(vec!["udp"]),
        "TCP/UDP" | "UDP/TCP" => Some(vec!["tcp", "udp"]),
        _ => None,
    }
}

#[test]
fn short_rows_go_on_from_the_row_above() {
    let text = "### One {{x}}\n{: #one_{{site.data.keyword.x}}}\n#### In\n{: #in}\n\n\
                | Source | Target | Port | Protocol | Notes | Type |\n| --- | --- | --- | --- | --- | --- |\n\
                | a | b | 1, 2 (x) | TCP/UDP | n | t |\n| 3 | n |\n| c | 4 5 | UDP | n |\n| d | e | n | t |\n\
                {: caption=\"\"}\n> ### Two parts\n\n| Port | Protocol | Source |\n| --- | --- | --- |\n| 6 | NFS | a |\n";
    let found: Vec<String> = ports(text)
        .iter()
        .map(|(section, port)| format!("{section} {}{}", port.transport, port.first))
        .collect();
    let expected = [
        "one_x tcp1",
        "one_x tcp2",
        "one_x tcp3",
        "one_x udp1",
        "one_x udp2",
        "one_x udp3",
        "one_x udp4",
        "one_x udp5",
        "two_parts tcp6",
    ];
    assert_eq!(found, expected);
}
