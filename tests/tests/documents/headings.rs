//! The page whose headings name the ports.

use super::{
    cells::{Ports, section, without_remarks},
    reading::{Entry, NOTHING, Pairs, Reading},
};

/// A heading begins with the transport, or with how the ports are used.
const FIRST_WORDS: [&str; 3] = ["TCP", "UDP", "Multicast"];

pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    for (line, heading) in (1..).zip(text.lines()) {
        if !heading.split(' ').next().is_some_and(|word| FIRST_WORDS.contains(&word)) {
            continue;
        }
        let transports: Vec<&str> =
            ["TCP", "UDP"].into_iter().filter(|word| heading.contains(word)).collect();
        let ports: Vec<Ports> = without_remarks(heading)
            .split([' ', ','])
            .filter(|word| !word.is_empty())
            .filter_map(Ports::read)
            .collect();
        if ports.is_empty() || transports.is_empty() {
            reading.unread.push((line, heading.to_owned()));
        }
        for (transport, ports) in transports
            .iter()
            .flat_map(|transport| ports.iter().map(move |ports| (transport, ports)))
        {
            let entry = Entry {
                section: section(heading),
                scenario: NOTHING.to_owned(),
                transport: transport.to_lowercase(),
                ports: *ports,
                endpoint: NOTHING.to_owned(),
            };
            reading.add(line, entry, Pairs::new());
        }
    }
    reading
}

#[test]
fn headings_give_the_ports_and_text_does_not() {
    let reading = read(
        "Ports\nTCP Port 10(Some 64-bit system)\nIt is 10, and 11 elsewhere.\n\
         Multicast Ports (UDP) 20, 21\nUDP Ports\n",
    );
    let read: Vec<String> = reading.entries.keys().map(Entry::to_string).collect();
    assert_eq!(
        read,
        [
            "multicast_ports_(udp)_20,_21: udp/20",
            "multicast_ports_(udp)_20,_21: udp/21",
            "tcp_port_10(some_64-bit_system): tcp/10",
        ],
    );
    assert_eq!(reading.unread, [(5, "UDP Ports".to_owned())]);
}
