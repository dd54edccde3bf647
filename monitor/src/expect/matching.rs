//! Which expectation an observed flow belongs to.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use super::{
    Expectation, Peers, Standing,
    index::{Addresses, Index, is_below},
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
        let mut lists: HashMap<&[Peer], usize> = HashMap::new();
        let mut groups = HashMap::new();
        for (index, expectation) in expectations.iter().enumerate() {
            let listed = expectation.peers.listed();
            let list = listed.map(|peers| {
                let number = lists.len();
                *lists.entry(peers).or_insert_with(|| {
                    matcher.addresses.add(number, peers, names);
                    number
                })
            });
            let Expectation { key, standing, transports, ports, former_ports, .. } = expectation;
            let alone = has_name(listed.unwrap_or_default()).then_some(index);
            let is_declared = matches!(expectation.peers, Peers::Declared(_));
            let covered = (list, is_declared, key.side, *standing, expectation.same_host);
            let group = (alone, covered, transports, ports, former_ports);
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
        let listed = self.addresses.lists(flow.peer).map(|(list, peer)| (Some(list), Some(peer)));
        let mut matches: Vec<Match> = listed
            .chain([(None, None)])
            .flat_map(|(list, peer)| self.ports.of(flow, list).map(move |index| (index, peer)))
            .filter_map(|(index, peer)| {
                let Expectation { key, standing, same_host, .. } = &self.expectations[index];
                let mirrored = flow.loopback && key.side == Side::Client;
                let fits = *standing == Standing::Expected
                    && (key.side == flow.side || mirrored)
                    && (flow.loopback || !same_host);
                fits.then_some(Match { expectation: index, peer, mirrored })
            })
            .collect();
        // Where an address is on a list twice, it is the first.
        matches.sort_by_key(|found| (found.expectation, found.peer));
        matches.dedup_by_key(|found| found.expectation);
        matches
    }

    /// Why a flow without a match has no business on its port; `None` where that cannot be said.
    pub fn stranger(&self, flow: &FlowId, tally: &Tally) -> Option<Stranger> {
        if passes_through(flow, tally) || flow.loopback {
            return None;
        }
        let anyones = |standing, side| self.kinds.of(flow, (standing, side)).next();
        let of_peer = |index: &Index<_>, fits: &dyn Fn(&Expectation) -> bool| {
            let lists = self.addresses.lists(flow.peer);
            let of_lists = lists.flat_map(|(list, _)| index.of(flow, Some(list)));
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
