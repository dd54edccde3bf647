//! Which expectation an observed flow belongs to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    ops::RangeInclusive,
};

use catalog::Ports;

use super::{Expectation, Peers, Standing};
use crate::{
    config::Peer,
    discrepancy::Cause,
    observe::{FlowId, Side, Tally, Transport},
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
#[derive(Debug)]
pub struct Matcher<'a> {
    expectations: &'a [Expectation],
    names: &'a Names,
    ports: Index,
    former_ports: Index,
}

/// Expectations by their ports.
#[derive(Debug, Default)]
struct Index {
    by_port: HashMap<(Transport, u16), Vec<usize>>,
    wide: Vec<(Transport, RangeInclusive<u16>, usize)>,
}

/// A range of more ports than this is looked through, not indexed port by port.
const WIDE: usize = 64;

impl<'a> Matcher<'a> {
    /// An index of the expectations.
    pub fn new(expectations: &'a [Expectation], names: &'a Names) -> Self {
        let mut matcher =
            Self { expectations, names, ports: Index::default(), former_ports: Index::default() };
        for (index, expectation) in expectations.iter().enumerate() {
            for &transport in &expectation.transports {
                matcher.ports.add(transport, &expectation.ports, index);
                matcher.former_ports.add(transport, &expectation.former_ports, index);
            }
        }
        matcher
    }

    /// Every expectation that covers a flow; more than one where systems share a port.
    pub fn matches(&self, flow: &FlowId, tally: &Tally) -> Vec<Match> {
        if passes_through(flow, tally) {
            return Vec::new();
        }
        self.ports
            .of(flow)
            .filter(|&index| self.expectations[index].standing == Standing::Expected)
            .filter_map(|index| {
                let expectation = &self.expectations[index];
                let mirrored = flow.loopback && expectation.key.side == Side::Client;
                if expectation.key.side != flow.side && !mirrored {
                    return None;
                }
                if expectation.same_host && !flow.loopback {
                    return None;
                }
                let peer = self.peer(expectation, flow.peer)?;
                Some(Match { expectation: index, peer, mirrored })
            })
            .collect()
    }

    /// Why a flow without a match has no business on its port; `None` where that cannot be said.
    pub fn stranger(&self, flow: &FlowId, tally: &Tally) -> Option<Stranger> {
        if passes_through(flow, tally) || flow.loopback {
            return None;
        }
        let found = |cause, fits: &dyn Fn(&Expectation) -> bool| {
            self.ports
                .of(flow)
                .find(|&index| fits(&self.expectations[index]))
                .map(|nearest| Stranger { nearest, cause })
        };
        let outdated = |standing: Standing| {
            move |expectation: &Expectation| {
                expectation.standing == standing && expectation.key.side == flow.side
            }
        };
        let is_peer = |expectation: &Expectation| {
            matches!(expectation.peers, Peers::Declared(_))
                && self.peer(expectation, flow.peer).is_some()
        };
        let is_expected = |expectation: &Expectation| expectation.standing == Standing::Expected;
        found(Cause::LegacyPort, &outdated(Standing::Legacy))
            .or_else(|| found(Cause::PlaintextPort, &outdated(Standing::Replaced)))
            .or_else(|| {
                found(Cause::UnexpectedDirection, &|expectation| {
                    is_expected(expectation)
                        && expectation.key.side != flow.side
                        && is_peer(expectation)
                })
            })
            .or_else(|| {
                let mut moved = self.former_ports.of(flow).filter(|&index| {
                    let expectation = &self.expectations[index];
                    expectation.key.side == flow.side && is_peer(expectation)
                });
                moved.next().map(|nearest| Stranger { nearest, cause: Cause::PortMoved })
            })
            .or_else(|| {
                // The host may talk to anyone on a port that others use too. A stranger at its own
                // service is another matter.
                found(Cause::UnexpectedPeer, &|expectation| {
                    is_expected(expectation)
                        && flow.side == Side::Server
                        && expectation.key.side == Side::Server
                })
            })
    }

    /// `None` where the address is not a peer, `Some(None)` where anyone is.
    #[expect(clippy::option_option, reason = "not a peer, any peer, or the one that is listed")]
    fn peer(&self, expectation: &Expectation, address: IpAddr) -> Option<Option<usize>> {
        let Some(peers) = expectation.peers.listed() else {
            return Some(None);
        };
        peers.iter().position(|peer| stands_for(peer, address, self.names)).map(Some)
    }
}

impl Index {
    fn add(&mut self, transport: Transport, ports: &BTreeSet<Ports>, index: usize) {
        for ports in ports {
            let Ports::Range { first, last } = *ports else { continue };
            if (first..=last).len() > WIDE {
                self.wide.push((transport, first..=last, index));
                continue;
            }
            for port in first..=last {
                self.by_port.entry((transport, port)).or_default().push(index);
            }
        }
    }

    fn of(&self, flow: &FlowId) -> impl Iterator<Item = usize> {
        let (transport, port) = (flow.transport, flow.service_port);
        let indexed = self.by_port.get(&(transport, port)).into_iter().flatten().copied();
        let in_range = self
            .wide
            .iter()
            .filter(move |(of, ports, _)| *of == transport && ports.contains(&port));
        indexed.chain(in_range.map(|(_, _, index)| *index))
    }
}

/// Whether an address is a peer's, as far as names are resolved.
fn stands_for(peer: &Peer, address: IpAddr, names: &Names) -> bool {
    match peer {
        Peer::Net(net) => net.contains(&address),
        Peer::Name(name) => names.get(name).is_some_and(|addresses| addresses.contains(&address)),
        Peer::Below(domain) => names
            .iter()
            .any(|(name, addresses)| is_below(name, domain) && addresses.contains(&address)),
    }
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

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether the host only passes the flow on: it is a client that never sent anything of its own.
fn passes_through(flow: &FlowId, tally: &Tally) -> bool {
    flow.side == Side::Client
        && tally.transmitted.packets == tally.forwarded
        && tally.socket_transmitted.packets == 0
        && tally.outcomes.is_empty()
        && tally.not_begun.times == 0
        && tally.no_port.times == 0
        && tally.dropped.iter().all(|drop| drop.received)
}
