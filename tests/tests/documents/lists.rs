//! Documents without tables: headings with ports, and lists of hosts.

use std::collections::BTreeSet;

use super::{Port, compare::Fact};

/// The ports in the headings of a text whose headings are lines that name ports.
pub(super) fn headings(text: &str) -> BTreeSet<(String, Port)> {
    let mut ports = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let is_heading = ["TCP Port", "TCP SSL Port", "UDP Port", "Multicast Ports"]
            .iter()
            .any(|start| line.starts_with(start))
            && line.len() < 40;
        if is_heading {
            let section = line.to_lowercase().replace(' ', "_");
            let transport = if line.contains("UDP") { "udp" } else { "tcp" };
            for number in line.split(|c: char| !c.is_ascii_digit()) {
                // Shorter numbers are not of ports.
                if number.len() >= 4 {
                    ports.insert((section.clone(), Port::single(transport, number)));
                }
            }
        }
    }
    ports
}

/// A port of a host or network; no host where the text names none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    section: String,
    port: String,
    endpoint: String,
}

impl Host {
    pub(super) fn of_fact(fact: &Fact) -> Self {
        assert_eq!(fact.port.transport, "tcp");
        assert_eq!(fact.port.first, fact.port.last);
        Self {
            section: fact.section.clone(),
            port: fact.port.first.clone(),
            endpoint: fact.endpoint.clone(),
        }
    }
}

/// Sections by their headings in either language.
const SECTIONS: [(&str, &str); 4] =
    [("商用", "commercial"), ("상용", "commercial"), ("联邦", "federal"), ("연방", "federal")];

/// Ports of single words in the text, which are about every agent wherever they stand.
const OF_EVERY_AGENT: [&str; 2] = ["2548", "808"];

/// Every host of every list, and what the text says of ports besides.
pub(super) fn hosts(text: &str) -> BTreeSet<Host> {
    let mut hosts = BTreeSet::new();
    let mut section = "portinfo";
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = SECTIONS.iter().find(|(name, _)| heading.trim() == *name).unwrap().1;
        }
        let words: Vec<&str> = line
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/')))
            .map(|word| word.trim_matches(['-', '/']))
            .collect();
        let is_name = |word: &str| word.ends_with(".softlayer.com") && !word.contains("control");
        let is_network = |word: &str| {
            let mut parts = word.split('/');
            let address = parts.next().unwrap_or_default();
            parts.next().is_some_and(|length| length.parse::<u8>().is_ok())
                && address.parse::<std::net::Ipv4Addr>().is_ok()
        };
        let ports = || words.iter().filter(|word| ["8086", "8087"].contains(*word));
        for endpoint in words.iter().filter(|word| is_name(word) || is_network(word)) {
            hosts.extend(ports().map(|port| Host {
                section: section.to_owned(),
                port: (*port).to_owned(),
                endpoint: (*endpoint).to_owned(),
            }));
        }
        for port in words.iter().flat_map(|word| word.split('/')) {
            if OF_EVERY_AGENT.contains(&port) {
                hosts.insert(Host {
                    section: "portinfo".to_owned(),
                    port: port.to_owned(),
                    endpoint: String::new(),
                });
            }
        }
    }
    hosts
}

#[test]
fn headings_and_hosts_are_read() {
    let text = "Text on TCP Port 9999.\nTCP Port 5001, 5002(64-bit)\nUDP Port 5003\n";
    let found: Vec<String> = headings(text)
        .iter()
        .map(|(section, port)| format!("{section} {}{}", port.transport, port.first))
        .collect();
    let expected = [
        "tcp_port_5001,_5002(64-bit) tcp5001",
        "tcp_port_5001,_5002(64-bit) tcp5002",
        "udp_port_5003 udp5003",
    ];
    assert_eq!(found, expected);

    let text =
        "8086, 8087: 10.0.0.0/8\n## 상용\n- `https://a.softlayer.com` [10.0.0.1] 8087\nTCP/2548";
    let found: Vec<String> = hosts(text)
        .iter()
        .map(|host| format!("{} {} {}", host.section, host.port, host.endpoint))
        .collect();
    let expected = [
        "commercial 8087 a.softlayer.com",
        "portinfo 2548 ",
        "portinfo 8086 10.0.0.0/8",
        "portinfo 8087 10.0.0.0/8",
    ];
    assert_eq!(found, expected);
}
