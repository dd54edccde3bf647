//! The pages in Chinese and Korean: lists of hosts with their ports, and ports within the text.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    cells::{self, Ports},
    reading::{Entry, NOTHING, Pairs, Reading},
};

const SECTIONS: &[(&str, &str)] =
    &[("商用", "commercial"), ("상용", "commercial"), ("联邦", "federal"), ("연방", "federal")];

/// Text about all agents, wherever it stands.
const GENERAL: &str = "portinfo";

/// All that the pages name. They say it of all ports but 808, which 2548 has replaced.
const TRANSPORT: &str = "tcp";

/// A host of a list: its name, its address and its ports.
struct Host<'a>(&'a str, &'a str, Vec<Ports>);

impl<'a> Host<'a> {
    /// Reads `name [address] ports`.
    fn read(item: &'a str) -> Option<Self> {
        let (name, rest) = item.split_once(" [")?;
        let (address, ports) = rest.split_once(']')?;
        address.parse::<IpAddr>().ok()?;
        Some(Self(host_name(name), address, cells::ports(ports)?))
    }
}

fn host_name(text: &str) -> &str {
    text.trim_matches('`').trim_start_matches("https://")
}

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut section = GENERAL;
    let mut in_code = false;
    for (line, text) in body(text) {
        if let Some(heading) = text.strip_prefix("## ") {
            match SECTIONS.iter().find(|(title, _)| *title == heading) {
                Some((_, name)) => section = name,
                None => reading.unread.push((line, text.to_owned())),
            }
        } else if text.starts_with("```") {
            in_code = !in_code;
        } else if let Some(item) = text.strip_prefix("- ") {
            match Host::read(item) {
                Some(Host(name, _, ports)) => add(&mut reading, line, section, &[name], &ports),
                None => reading.unread.push((line, text.to_owned())),
            }
        } else if in_code {
            match text.split_once(" TCP ").map(|(name, ports)| (name, cells::ports(ports))) {
                Some((name, Some(ports))) => {
                    add(&mut reading, line, section, &[host_name(name)], &ports);
                }
                _ => reading.unread.push((line, text.to_owned())),
            }
        } else {
            let words: Vec<&str> = words(text).collect();
            let ports: Vec<Ports> = words.iter().copied().filter_map(Ports::read).collect();
            let mut networks: Vec<&str> =
                words.iter().copied().filter(|word| is_network(word)).collect();
            if ports.is_empty() && !networks.is_empty() {
                reading.unread.push((line, text.to_owned()));
            }
            if networks.is_empty() {
                networks.push(NOTHING);
            }
            add(&mut reading, line, GENERAL, &networks, &ports);
        }
    }
    reading
}

/// The addresses of the hosts, by name.
pub(super) fn addresses(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut addresses = BTreeMap::<String, BTreeSet<String>>::new();
    for (_, text) in body(text) {
        if let Some(Host(name, address, _)) = text.strip_prefix("- ").and_then(Host::read) {
            addresses.entry(name.to_owned()).or_default().insert(address.to_owned());
        }
    }
    addresses
}

/// The lines from the title on: there are years and dates before it.
fn body(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).skip_while(|(_, line)| !line.starts_with("# "))
}

/// What the text has of ASCII, without the transport in `TCP/80`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "./:-_".contains(c)))
        .map(|word| word.trim_end_matches('.').trim_start_matches("TCP/"))
}

fn is_network(word: &str) -> bool {
    word.split_once('/').is_some_and(|(address, bits)| {
        address.parse::<IpAddr>().is_ok() && bits.parse::<u8>().is_ok()
    })
}

fn add(reading: &mut Reading, line: usize, section: &str, endpoints: &[&str], ports: &[Ports]) {
    for (endpoint, ports) in
        endpoints.iter().flat_map(|endpoint| ports.iter().map(move |ports| (endpoint, ports)))
    {
        let entry = Entry {
            section: section.to_owned(),
            scenario: NOTHING.to_owned(),
            transport: TRANSPORT.to_owned(),
            ports: *ports,
            endpoint: (*endpoint).to_owned(),
        };
        reading.add(line, entry, Pairs::new());
    }
}

#[test]
fn hosts_networks_and_ports_of_the_text_are_read() {
    let text = "years: 1999\n# Title\n```\nhttps://one.example TCP 1,2\n```\n\
                포트 3은 192.0.2.0/24, 198.51.100.0/25.\n## 商用\n- `https://two.example` [192.0.2.1] 4, 5\n\
                ## 연방\n- three.example [192.0.2.2] 6\n- four.example 7\n포트 TCP/8을 (9)\n## Other\n";
    let reading = read(text);
    let read: Vec<String> = reading.entries.keys().map(Entry::to_string).collect();
    assert_eq!(
        read,
        [
            "commercial: tcp/4 at two.example",
            "commercial: tcp/5 at two.example",
            "federal: tcp/6 at three.example",
            "portinfo: tcp/1 at one.example",
            "portinfo: tcp/2 at one.example",
            "portinfo: tcp/3 at 192.0.2.0/24",
            "portinfo: tcp/3 at 198.51.100.0/25",
            "portinfo: tcp/8",
            "portinfo: tcp/9",
        ],
    );
    let unread: Vec<usize> = reading.unread.iter().map(|(line, _)| *line).collect();
    assert_eq!(unread, [11, 13]);
    let addresses = addresses(text);
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses["two.example"].iter().collect::<Vec<_>>(), ["192.0.2.1"]);
}
