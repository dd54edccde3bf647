//! The page of Markdown tables.

use super::{
    cells::{self, Ports, section},
    reading::{Entry, NOTHING, Pairs, Reading},
};

/// A table as far as it has been read.
#[derive(Debug, Default)]
struct Table {
    columns: usize,
    /// None of a table that is about something else.
    port_column: Option<usize>,
    /// Of the latest row. A cell that spans rows is written in the first of them alone.
    ports: Vec<Ports>,
    transports: Vec<String>,
}

impl Table {
    fn new(header: &[&str]) -> Self {
        let port_column = header.iter().position(|title| title.contains("Port"));
        Self { columns: header.len(), port_column, ..Self::default() }
    }

    /// Takes in a row, and tells whether its ports and transports are known then.
    fn take(&mut self, row: &[&str], port_column: usize) -> bool {
        let found = (0..=port_column).find_map(|at| Some((at, cells::ports(row.get(at)?)?)));
        let whole = row.len() >= self.columns;
        let transports = match found {
            Some((at, ports)) => {
                if whole && at != port_column {
                    return false;
                }
                self.ports = ports;
                row.get(at + 1).and_then(|cell| cells::transports(cell))
            }
            None if whole => return false,
            None => row.iter().find_map(|cell| cells::transports(cell)),
        };
        match transports {
            Some(transports) => self.transports = transports,
            None if whole => return false,
            None => {}
        }
        !self.ports.is_empty() && !self.transports.is_empty()
    }
}

/// The section of the latest heading. Headings of the fourth level are directions.
#[derive(Debug, Default)]
struct Place {
    section: String,
    /// The line is the one after a heading of a section.
    after_heading: bool,
}

impl Place {
    fn take(&mut self, line: &str) {
        let text = line.trim_start_matches("> ");
        let heading = text.trim_start_matches('#');
        let level = text.len() - heading.len();
        let anchor = line.strip_prefix("{: #").and_then(|rest| rest.strip_suffix('}'));
        if (1..=3).contains(&level) && heading.starts_with(' ') {
            self.section = section(heading);
            self.after_heading = true;
        } else {
            if let Some(anchor) = anchor.filter(|_| self.after_heading) {
                self.section = anchor.replace("{{site.data.keyword.", "").replace("}}", "");
            }
            self.after_heading = false;
        }
    }
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut place = Place::default();
    let mut table: Option<Table> = None;
    for (line, text) in (1..).zip(text.lines()) {
        let Some(row) = text.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|'))
        else {
            place.take(text);
            table = None;
            continue;
        };
        let row: Vec<&str> = row.split('|').map(str::trim).collect();
        let Some(table) = &mut table else {
            table = Some(Table::new(&row));
            continue;
        };
        let Some(port_column) = table.port_column else {
            continue;
        };
        if row.iter().all(|cell| *cell == "---") {
            continue;
        }
        if !table.take(&row, port_column) {
            reading.unread.push((line, text.to_owned()));
            continue;
        }
        for transport in &table.transports {
            for ports in &table.ports {
                let entry = Entry {
                    section: place.section.clone(),
                    scenario: NOTHING.to_owned(),
                    transport: transport.clone(),
                    ports: *ports,
                    endpoint: NOTHING.to_owned(),
                };
                reading.add(line, entry, Pairs::new());
            }
        }
    }
    reading
}

#[test]
fn short_rows_take_from_the_row_above() {
    let reading = read(
        "## Things\n{: #things_{{site.data.keyword.of}}_mine}\n#### Incoming\n{: #incoming}\n\n\
         | Source | Target | Destination Port | Protocol | Notes | Type |\n\
         | --- | --- | --- | --- | --- | --- |\n\
         | A | B | 1,2 | TCP/UDP | 99 | Some |\n\
         | 3 | *   98 of them |\n\
         | C | 4 | UDP |\n\
         | D | 5 | 97 for that | Other |\n\
         | E | All | TCP | Notes |\n\
         | F | Notes |\n\
         |     | 6 | TCP/IP | Notes | Some |\n\
         > ### Next One\n\n\
         | Port | Protocol | Source | Target | Notes |\n\
         | --- | --- | --- | --- | --- |\n\
         | 7, 8 | TCP | A | B | 96 |\n\
         | many | TCP | A | B | 95 |\n\n\
         | Port | Protocol |\n\
         | --- | --- |\n\
         | 9 |\n\
         | Command | Notes |\n",
    );
    let read: Vec<String> =
        reading.entries.iter().map(|(entry, said)| format!("{entry} {:?}", said.lines)).collect();
    assert_eq!(
        read,
        [
            "next_one: tcp/7 {19}",
            "next_one: tcp/8 {19}",
            "things_of_mine: tcp/1 {8}",
            "things_of_mine: tcp/2 {8}",
            "things_of_mine: tcp/3 {9}",
            "things_of_mine: tcp/5 {12, 13}",
            "things_of_mine: tcp/6 {14}",
            "things_of_mine: udp/1 {8}",
            "things_of_mine: udp/2 {8}",
            "things_of_mine: udp/3 {9}",
            "things_of_mine: udp/4 {10}",
            "things_of_mine: udp/5 {11}",
        ],
    );
    let unread: Vec<usize> = reading.unread.iter().map(|(line, _)| *line).collect();
    assert_eq!(unread, [20, 24, 25]);
}
