//! Which expectation an observed flow belongs to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use super::{
    Expectation, Peers, Standing,
    index::{Addresses, Index, Listed, is_below},
    lan,
};
use crate::{
    config::Peer,
    discrepancy::Cause,
    observe::{FlowId, Side, Tally},
};

/// What the names among the peers stand for.
pub type Names = BTreeMap<String, Vec<IpAddr>>;

/// The label of a peer that the config does not list.
pub const OTHER: &str = "other";

/// An expectation that covers a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the expectation.
    pub expectation: usize,
    /// Index of the peer in the expectation's list, `None` where the group is open.
    pub peer: Option<usize>,
    /// The flow is of the host with itself and told from the server's end, the expectation is the
    /// client's: received and transmitted change places.
    pub mirrored: bool,
}

/// A flow that no expectation covers, on a port of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Index of the expectation it comes nearest to.
    pub nearest: usize,
    /// Why it is not covered.
    pub cause: Cause,
}

/// Finds expectations by flow, in the same time however many there are.
///
/// Expectations of several systems that cover the same flows are one group, and only its first is found.
/// Those with names among their peers stand alone, since a name that moves keeps what it had.
#[derive(Debug)]
pub struct Matcher<'a> {
    expectations: &'a [Expectation],
    /// The first of each expectation's group.
    groups: Vec<usize>,
    addresses: Addresses,
    /// By port and by the number of the list of peers, `None` for anyone.
    ports: Index<Option<usize>>,
    former_ports: Index<Option<usize>>,
    /// By port, whoever the peers are.
    kinds: Index<(Standing, Side)>,
}

impl<'a> Matcher<'a> {
    /// An index of the expectations.
    pub fn new(expectations: &'a [Expectation], names: &Names) -> Self {
        let mut matcher = Self {
            expectations,
            groups: Vec::with_capacity(expectations.len()),
            addresses: Addresses::default(),
            ports: Index::default(),
            former_ports: Index::default(),
            kinds: Index::default(),
        };
        let mut numbers: HashMap<&[Peer], usize> = HashMap::new();
        let lists: Vec<Option<usize>> = expectations
            .iter()
            .map(|expectation| {
                let peers = expectation.peers.listed()?;
                let number = numbers.len();
                Some(*numbers.entry(peers).or_insert_with(|| {
                    matcher.addresses.add(number, peers, names);
                    number
                }))
            })
            .collect();
        let overlapping = overlapping(expectations, &lists, &matcher.addresses);
        let mut groups = HashMap::new();
        for (index, (expectation, &list)) in expectations.iter().zip(&lists).enumerate() {
            let Expectation { key, standing, transports, ports, former_ports, .. } = expectation;
            let peers = expectation.peers.listed().unwrap_or_default();
            let stands_alone = has_name(peers) || overlapping.contains(key.system.as_str());
            let alone = stands_alone.then_some(index);
            let is_declared = matches!(expectation.peers, Peers::Declared(_));
            let covered = (list, is_declared, key.side, *standing, expectation.same_host);
            let datagrams = (expectation.one_way, expectation.multicast);
            let group = (alone, covered, datagrams, transports, ports, former_ports);
            let first = *groups.entry(group).or_insert(index);
            matcher.groups.push(first);
            if first < index {
                continue;
            }
            for &transport in transports {
                matcher.ports.add(transport, ports, list, index);
                matcher.former_ports.add(transport, former_ports, list, index);
                matcher.kinds.add(transport, ports, (*standing, key.side), index);
            }
        }
        matcher
    }

    /// The first expectation of the group of one.
    pub fn group(&self, expectation: usize) -> usize {
        self.groups[expectation]
    }

    /// The first expectation of every group that covers a flow.
    pub fn matches(&self, flow: &FlowId, tally: &Tally) -> Vec<Match> {
        if passes_through(flow, tally) {
            return Vec::new();
        }
        if lan::is_group(flow.peer) {
            return self.to_all(flow);
        }
        let listed =
            self.addresses.lists(flow.peer).map(|listed| (Some(listed.list), Some(listed)));
        let mut found: Vec<(usize, Option<Listed>)> = listed
            .chain([(None, None)])
            .flat_map(|(list, listed)| self.ports.of(flow, list).map(move |index| (index, listed)))
            .filter(|&(index, listed)| self.fits(flow, index, listed))
            .collect();
        let length = |listed: Option<Listed>| listed.map(|listed| listed.net.prefix_len());
        // Of the lists of a system, and of the peers of a list, the address is of those that say most of
        // it, and there of the first.
        let mut longest: HashMap<&str, Option<u8>> = HashMap::new();
        if found.len() > 1 {
            for &(index, listed) in &found {
                let longest = longest.entry(&self.expectations[index].key.system).or_default();
                *longest = length(listed).max(*longest);
            }
            found.retain(|&(index, listed)| {
                let longest = longest.get(self.expectations[index].key.system.as_str());
                listed.is_none() || longest == Some(&length(listed))
            });
        }
        let mut matches: Vec<Match> = found
            .into_iter()
            .map(|(expectation, listed)| Match {
                expectation,
                peer: listed.map(|listed| listed.peer),
                mirrored: flow.loopback && self.expectations[expectation].key.side == Side::Client,
            })
            .collect();
        matches.sort_by_key(|found| (found.expectation, found.peer));
        matches.dedup_by_key(|found| found.expectation);
        matches
    }

    /// Whether an expectation on the port of a flow, with its peer on the list, covers it.
    fn fits(&self, flow: &FlowId, index: usize, listed: Option<Listed>) -> bool {
        let expectation = &self.expectations[index];
        let Expectation { key, standing, same_host, multicast, .. } = expectation;
        let is_ours = key.side == flow.side || flow.loopback && key.side == Side::Client;
        // What the host says to itself is no traffic with other machines, unless the config says that the
        // peer is this very machine.
        let is_meant = match listed {
            _ if *same_host => flow.loopback,
            _ if !flow.loopback => true,
            None => false,
            Some(Listed { peer, .. }) => {
                expectation.peers.listed().is_some_and(|peers| peers[peer].is_machine())
            }
        };
        let is_broadcast =
            listed.is_some_and(|listed| lan::is_broadcast(listed.net, flow.peer)) && !multicast;
        *standing == Standing::Expected && is_ours && is_meant && !is_broadcast
    }

    /// The expectations that datagrams to a multicast or broadcast address belong to: those of which the
    /// document says so.
    fn to_all(&self, flow: &FlowId) -> Vec<Match> {
        let of_kind = self.kinds.of(flow, (Standing::Expected, flow.side));
        let of_kind = of_kind.filter(|&index| self.expectations[index].multicast && !flow.loopback);
        of_kind.map(|expectation| Match { expectation, peer: None, mirrored: false }).collect()
    }

    /// The expectations that would cover a flow of this host to a service, were its peer on their lists.
    pub fn on_port_of(&self, flow: &FlowId) -> impl Iterator<Item = usize> {
        let is_asked = flow.side == Side::Client && !flow.loopback;
        self.kinds.of(flow, (Standing::Expected, Side::Client)).filter(move |_| is_asked)
    }

    /// Why a flow without a match has no business on its port; `None` where that cannot be said.
    pub fn stranger(&self, flow: &FlowId, tally: &Tally) -> Option<Stranger> {
        if passes_through(flow, tally) || flow.loopback {
            return None;
        }
        if lan::is_group(flow.peer) || lan::is_to_all(flow) {
            return None;
        }
        let anyones = |standing, side| self.kinds.of(flow, (standing, side)).next();
        let of_peer = |index: &Index<_>, fits: &dyn Fn(&Expectation) -> bool| {
            let lists = self.addresses.lists(flow.peer);
            let lists = lists.filter(|listed| !lan::is_broadcast(listed.net, flow.peer));
            let of_lists = lists.flat_map(|listed| index.of(flow, Some(listed.list)));
            let declared = of_lists.filter(|&index| {
                let expectation = &self.expectations[index];
                matches!(expectation.peers, Peers::Declared(_)) && fits(expectation)
            });
            declared.min()
        };
        let is_turned = |expectation: &Expectation| {
            expectation.standing == Standing::Expected && expectation.key.side != flow.side
        };
        let is_same_side = |expectation: &Expectation| expectation.key.side == flow.side;
        let because = |cause| move |nearest| Stranger { nearest, cause };
        anyones(Standing::Legacy, flow.side)
            .map(because(Cause::LegacyPort))
            .or_else(|| anyones(Standing::Replaced, flow.side).map(because(Cause::PlaintextPort)))
            .or_else(|| of_peer(&self.ports, &is_turned).map(because(Cause::UnexpectedDirection)))
            .or_else(|| of_peer(&self.former_ports, &is_same_side).map(because(Cause::PortMoved)))
            .or_else(|| {
                // The host may talk to anyone on a port that others use too. A stranger at its own
                // service is another matter.
                let is_service = flow.side == Side::Server;
                let service = anyones(Standing::Expected, flow.side).filter(|_| is_service);
                service.map(because(Cause::UnexpectedPeer))
            })
    }
}

/// The systems in which a machine is on one list by its address, or by a smaller network, and on another
/// by a larger one.
fn overlapping<'a>(
    expectations: &'a [Expectation],
    lists: &[Option<usize>],
    addresses: &Addresses,
) -> BTreeSet<&'a str> {
    let overlaps = addresses.overlaps();
    if overlaps.is_empty() {
        return BTreeSet::new();
    }
    let mut of_systems: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (expectation, list) in expectations.iter().zip(lists) {
        of_systems.entry(&expectation.key.system).or_default().extend(list);
    }
    let has = |lists: &BTreeSet<usize>| {
        overlaps.iter().any(|(outer, inner)| lists.contains(outer) && lists.contains(inner))
    };
    let overlapping = of_systems.into_iter().filter(|(_, lists)| has(lists));
    overlapping.map(|(system, _)| system).collect()
}

fn has_name(peers: &[Peer]) -> bool {
    peers.iter().any(|peer| !matches!(peer, Peer::Net(_)))
}

/// Whether it is known now which addresses a peer has.
pub fn is_resolved(peer: &Peer, names: &Names) -> bool {
    match peer {
        Peer::Net(_) => true,
        Peer::Name(name) => names.get(name).is_some_and(|addresses| !addresses.is_empty()),
        Peer::Below(domain) => {
            names.iter().any(|(name, addresses)| is_below(name, domain) && !addresses.is_empty())
        }
    }
}

/// Whether the host only passes the flow on: it is a client that never sent anything of its own.
fn passes_through(flow: &FlowId, tally: &Tally) -> bool {
    flow.side == Side::Client
        && tally.wire.transmitted.packets == tally.wire.forwarded
        && tally.sockets.transmitted.packets == 0
        && tally.outcomes.is_empty()
        && tally.not_begun.times == 0
        && tally.no_port.times == 0
        && tally.dropped.iter().all(|drop| drop.received)
}
