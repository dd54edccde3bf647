//! Ports and transports as tables write them.

use std::fmt;

/// What one entry of a port column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ports {
    /// The first and the last port, which are the same for a single one.
    Numbers(u16, u16),
    /// Any port, chosen at run time.
    Dynamic,
}

impl Ports {
    /// A number, a range `135-139`, or `dynamic`.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text == "dynamic" {
            return Some(Self::Dynamic);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0 && first <= last).then_some(Self::Numbers(first, last))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(first, last) if first == last => write!(f, "{first}"),
            Self::Numbers(first, last) => write!(f, "{first}-{last}"),
            Self::Dynamic => f.write_str("dynamic"),
        }
    }
}

/// A cell that no rule reads: how it begins, what it is read as, and why.
type Exception = (&'static str, &'static str, &'static str);

const PORT_CELLS: &[Exception] = &[
    ("1433 or dynamic port", "1433, dynamic", "a named instance has a port without a number"),
    (
        "135, 1037, 441, 1125 Dynamic Ports",
        "135, 1037, 441, 1125, 49152-65535",
        "the words name the range behind them and are no port of their own",
    ),
    (
        "Frequently opened ports",
        "25, 465, 587, dynamic",
        "a sentence that offers three ports; the remark beside it speaks of a random one",
    ),
];

const TRANSPORT_CELLS: &[Exception] = &[
    ("HTTPS", "TCP", "the column names what runs over TCP"),
    ("HTTP", "TCP", "as HTTPS"),
    ("AJP", "TCP", "the Apache JServ protocol is defined over TCP alone"),
    ("TCP/IP", "TCP", "the second word is the network layer"),
    ("NFS", "TCP", "the other rows for an NFS target say TCP"),
];

/// The ports of a cell, if it has nothing else: remarks in brackets do not count.
pub(super) fn ports(cell: &str) -> Option<Vec<Ports>> {
    let cell = PORT_CELLS
        .iter()
        .find(|(begin, ..)| cell.starts_with(begin))
        .map_or_else(|| without_remarks(cell), |(_, plain, _)| (*plain).to_owned());
    let ports: Option<Vec<Ports>> =
        cell.replace("<br>", " ").replace(',', " ").split_whitespace().map(Ports::read).collect();
    ports.filter(|ports| !ports.is_empty())
}

/// The transports of a cell, if it has nothing else.
pub(super) fn transports(cell: &str) -> Option<Vec<String>> {
    TRANSPORT_CELLS
        .iter()
        .find(|(whole, ..)| cell == *whole)
        .map_or(cell, |(_, plain, _)| plain)
        .split('/')
        .map(|word| matches!(word, "TCP" | "UDP").then(|| word.to_lowercase()))
        .collect()
}

/// A text without what stands in round brackets.
pub(super) fn without_remarks(text: &str) -> String {
    let mut depth = 0_u32;
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            other if depth == 0 => plain.push(other),
            _ => {}
        }
    }
    plain
}

/// A heading as the name of its section.
pub(super) fn section(heading: &str) -> String {
    heading.trim().to_lowercase().replace(' ', "_")
}

#[test]
fn cells_of_ports_are_read_whole_or_not_at_all() {
    let read = |cell| ports(cell).map(|ports| ports.iter().map(Ports::to_string).collect());
    for (cell, expected) in [
        ("80", Some("80")),
        ("22  ", Some("22")),
        ("80,443", Some("80 443")),
        ("80 443", Some("80 443")),
        ("135-139, 445", Some("135-139 445")),
        ("1 (one),<br><br>2 (two)", Some("1 2")),
        ("1433 or dynamic port", Some("1433 dynamic")),
        ("", None),
        ("80 for the web", None),
        ("139-135", None),
        ("0", None),
        ("70000", None),
    ] {
        let ports: Option<Vec<String>> = read(cell);
        assert_eq!(ports.map(|ports| ports.join(" ")).as_deref(), expected, "{cell:?}");
    }
}

#[test]
fn cells_of_transports_are_read_whole_or_not_at_all() {
    for (cell, expected) in [
        ("TCP", Some("tcp")),
        ("UDP/TCP", Some("udp tcp")),
        ("TCP/IP", Some("tcp")),
        ("AJP", Some("tcp")),
        ("", None),
        ("TCP only", None),
        ("Management", None),
    ] {
        assert_eq!(transports(cell).map(|words| words.join(" ")).as_deref(), expected, "{cell:?}");
    }
}
