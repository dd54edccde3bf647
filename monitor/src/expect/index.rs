//! Expectations by port, and lists of peers by address.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    net::IpAddr,
};

use catalog::Ports;
use ipnet::IpNet;

use super::Names;
use crate::{
    config::Peer,
    observe::{FlowId, Transport},
};

/// Which lists of peers an address is on.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// The lists that a network is on, each with the index of the peer.
    nets: HashMap<IpNet, Vec<(usize, usize)>>,
    /// The lengths of their prefixes, by family.
    lengths: BTreeSet<(bool, u8)>,
}

/// A place on a list of peers where an address is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) list: usize,
    /// The index of the peer.
    pub(super) peer: usize,
    /// The network that the address was found by, or the address itself.
    pub(super) net: IpNet,
}

/// Expectations by the first and the last port.
type Ranges = BTreeMap<(u16, u16), Vec<usize>>;

/// Expectations by port and by something else.
#[derive(Debug)]
pub(super) struct Index<K> {
    by_port: HashMap<(Transport, u16, K), Vec<usize>>,
    /// Ranges of very many ports.
    wide: HashMap<(Transport, K), Ranges>,
}

/// A range of more ports than this is looked through, not indexed port by port.
const WIDE: usize = 64;

impl Addresses {
    /// Takes in a list of peers, as far as names are resolved.
    pub(super) fn add(&mut self, list: usize, peers: &[Peer], names: &Names) {
        for (index, peer) in peers.iter().enumerate() {
            let nets: Vec<IpNet> = match peer {
                Peer::Net(net) => vec![net.trunc()],
                Peer::Name(name) => hosts(names.get(name)).collect(),
                Peer::Below(domain) => {
                    let below = names.iter().filter(|(name, _)| is_below(name, domain));
                    below.flat_map(|(_, addresses)| hosts(Some(addresses))).collect()
                }
            };
            for net in nets {
                self.lengths.insert((net.addr().is_ipv6(), net.prefix_len()));
                self.nets.entry(net).or_default().push((list, index));
            }
        }
    }

    /// The lists that an address is on.
    pub(super) fn lists(&self, address: IpAddr) -> impl Iterator<Item = Listed> {
        let family = address.is_ipv6();
        let lengths = self.lengths.range((family, 0)..=(family, u8::MAX));
        lengths.filter_map(move |(_, length)| IpNet::new(address, *length).ok()).flat_map(|net| {
            let lists = self.nets.get(&net.trunc()).into_iter().flatten();
            lists.map(move |&(list, peer)| Listed { list, peer, net: net.trunc() })
        })
    }

    /// Pairs of lists: one with a network, and one with a network or an address inside it.
    pub(super) fn overlaps(&self) -> BTreeSet<(usize, usize)> {
        let pairs = self.nets.iter().flat_map(|(net, inner)| {
            let shorter = (net.addr().is_ipv6(), 0)..(net.addr().is_ipv6(), net.prefix_len());
            let around = self.lengths.range(shorter).filter_map(|(_, length)| {
                let around = IpNet::new(net.addr(), *length).ok()?;
                self.nets.get(&around.trunc())
            });
            around.flatten().flat_map(move |(outer, _)| {
                let others = inner.iter().filter(move |(list, _)| list != outer);
                others.map(move |(list, _)| (*outer, *list))
            })
        });
        pairs.collect()
    }
}

fn hosts(addresses: Option<&Vec<IpAddr>>) -> impl Iterator<Item = IpNet> {
    addresses.into_iter().flatten().copied().map(IpNet::from)
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self { by_port: HashMap::new(), wide: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash> Index<K> {
    /// Takes in the ports of an expectation; indices only grow.
    pub(super) fn add(
        &mut self,
        transport: Transport,
        ports: &BTreeSet<Ports>,
        kind: K,
        index: usize,
    ) {
        for ports in ports {
            let Ports::Range { first, last } = *ports else { continue };
            if (first..=last).len() > WIDE {
                let wide = self.wide.entry((transport, kind)).or_default();
                wide.entry((first, last)).or_default().push(index);
                continue;
            }
            for port in first..=last {
                self.by_port.entry((transport, port, kind)).or_default().push(index);
            }
        }
    }

    /// The expectations of a kind on the port of a flow, each once for every one of its ranges.
    pub(super) fn of(&self, flow: &FlowId, kind: K) -> impl Iterator<Item = usize> {
        let (transport, port) = (flow.transport, flow.service_port);
        let indexed = self.by_port.get(&(transport, port, kind)).into_iter().flatten();
        let wide = self.wide.get(&(transport, kind)).into_iter().flatten();
        let in_range = wide.filter(move |((first, last), _)| (first..=last).contains(&&port));
        indexed.chain(in_range.flat_map(|(_, indices)| indices)).copied()
    }
}

/// Whether a name is of a host below a domain.
pub(super) fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}
