//! Whose capture it is: the machine that has a part in every packet.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use monitor_common::packet;

use super::{Frame, ends};
use crate::observe::PortSet;

/// The machines in the packets of a capture that are on documented ports, by version of IP.
#[derive(Debug)]
pub struct Hosts {
    ports: PortSet,
    packets: [u64; 2],
    seen: BTreeMap<IpAddr, u64>,
}

impl Hosts {
    /// None yet.
    pub const fn new(ports: PortSet) -> Self {
        Self { ports, packets: [0; 2], seen: BTreeMap::new() }
    }

    /// Takes in a frame.
    pub fn note(&mut self, frame: &Frame<'_>) {
        let Ok(packet) = packet::locate(frame.bytes, frame.link) else {
            return;
        };
        let documented = [packet.source_port, packet.destination_port]
            .into_iter()
            .any(|port| self.ports.contains(packet.transport, port));
        let is_machines = |(source, _): &(IpAddr, IpAddr)| !source.is_loopback();
        if let Some((source, destination)) =
            ends(frame.bytes, packet).filter(|_| documented).filter(is_machines)
        {
            self.packets[usize::from(source.is_ipv6())] += 1;
            for end in BTreeSet::from([source, destination]) {
                *self.seen.entry(end).or_default() += 1;
            }
        }
    }

    /// The one address of each version that every packet comes from or goes to. Else those in
    /// question, the ones with the most packets first.
    pub fn host(&self) -> Result<BTreeSet<IpAddr>, Vec<IpAddr>> {
        let in_all = |(address, packets): (&IpAddr, &u64)| {
            (self.packets[usize::from(address.is_ipv6())] == *packets).then_some(*address)
        };
        let host: BTreeSet<IpAddr> = self.seen.iter().filter_map(in_all).collect();
        let of = |six: bool| host.iter().filter(|address| address.is_ipv6() == six).count();
        let expected = |six: bool| usize::from(self.packets[usize::from(six)] > 0);
        if of(false) == expected(false) && of(true) == expected(true) {
            return Ok(host);
        }
        let mut in_question: Vec<(&IpAddr, &u64)> = self.seen.iter().collect();
        in_question.sort_by_key(|(address, packets)| (std::cmp::Reverse(**packets), **address));
        Err(in_question.into_iter().map(|(address, _)| *address).collect())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use monitor_common::{Transport, packet::Link};

    use super::{super::Place, *};

    fn host(packets: &[([u8; 4], [u8; 4], u16)]) -> Result<BTreeSet<IpAddr>, Vec<IpAddr>> {
        let mut ports = PortSet::default();
        ports.insert(Transport::Udp, 6363);
        let mut hosts = Hosts::new(ports);
        for (source, destination, port) in packets {
            let mut bytes = vec![0x45, 0, 0, 28, 0, 7, 0, 0, 64, 17, 0, 0];
            bytes.extend(source.iter().chain(destination));
            bytes.extend([40_000_u16.to_be_bytes(), port.to_be_bytes(), [0, 8], [0, 0]].concat());
            hosts.note(&Frame {
                at: Timestamp::UNIX_EPOCH,
                link: Link::Ip,
                bytes: &bytes,
                length: 28,
                place: Place::Single,
                is_loopback: false,
            });
        }
        hosts.host()
    }

    const HOST: [u8; 4] = [10, 0, 0, 1];
    const PEERS: [[u8; 4]; 2] = [[10, 0, 0, 2], [10, 0, 0, 3]];

    #[test]
    fn the_one_that_has_a_part_in_every_packet() {
        let seen = [(HOST, PEERS[0], 6363), (PEERS[1], HOST, 6363), (PEERS[0], PEERS[1], 22)];
        assert_eq!(host(&seen), Ok(BTreeSet::from([IpAddr::from(HOST)])));
        assert_eq!(host(&seen[2..]), Ok(BTreeSet::new()));
    }

    #[test]
    fn two_that_have_are_in_question_and_none_too() {
        let both = [IpAddr::from(HOST), IpAddr::from(PEERS[0])];
        assert_eq!(host(&[(HOST, PEERS[0], 6363)]), Err(both.to_vec()));
        let seen = [(HOST, PEERS[0], 6363), (HOST, PEERS[1], 6363), (PEERS[0], PEERS[1], 6363)];
        assert_eq!(host(&seen).map_err(|in_question| in_question.len()), Err(3));
    }
}
