//! Which role the machines play that were seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use catalog::{Endpoint, Product};

use super::{
    Undecided,
    ports::{Port, Use},
    roles::{self, Uses},
    strength::{Strength, strength},
    words,
};
use crate::expect::{Expectation, SELF, Standing};

/// Where the machines were put.
pub(super) struct Placed {
    pub(super) peers: BTreeMap<String, BTreeMap<IpAddr, BTreeSet<String>>>,
    pub(super) undecided: Vec<Undecided>,
    pub(super) open: Vec<String>,
}

/// Puts every machine that was seen into the group of its role.
pub(super) fn place(
    product: &Product,
    expectations: &[Expectation],
    uses: &Uses,
    watched: Option<u64>,
) -> Placed {
    let groups: BTreeMap<Port, BTreeMap<&str, &str>> = uses
        .iter()
        .map(|(port, used)| (*port, groups(*port, used, expectations)))
        .filter(|(_, groups)| !groups.is_empty())
        .collect();
    let of = |least| -> BTreeSet<Port> {
        groups.keys().filter(|port| strength(port.port) == least).copied().collect()
    };
    // Who uses a telling port is of the product, and then its other ports count too.
    let telling = of(Strength::Telling);
    let decisive = if telling.is_empty() { of(Strength::Shared) } else { telling };
    let known = roles::peers(uses, &decisive);

    let mut placed: BTreeMap<String, BTreeMap<IpAddr, BTreeSet<String>>> = BTreeMap::new();
    let mut unclear: Vec<(Port, IpAddr, BTreeSet<&str>)> = Vec::new();
    for (port, groups) in &groups {
        for (&peer, seen) in &uses[port].peers {
            let named = named(product, groups, peer);
            let is_certain = known.contains(&peer) || !named.is_empty();
            let fitting = if named.is_empty() { groups.keys().copied().collect() } else { named };
            match fitting.first() {
                Some(group)
                    if fitting.len() == 1
                        && (is_certain || strength(port.port) > Strength::Weak) =>
                {
                    let seen = words::sighting(*port, *seen, watched, !is_certain);
                    let machines = placed.entry((*group).to_owned()).or_default();
                    machines.entry(peer).or_default().insert(seen);
                }
                _ => unclear.push((*port, peer, fitting)),
            }
        }
    }
    let mut undecided: BTreeMap<(Port, BTreeSet<String>), BTreeSet<IpAddr>> = BTreeMap::new();
    for (port, peer, fitting) in unclear {
        let is_placed =
            |group: &&str| placed.get(*group).is_some_and(|peers| peers.contains_key(&peer));
        let already: Vec<&str> = fitting.iter().copied().filter(is_placed).collect();
        if let [group] = already.as_slice() {
            let seen = words::sighting(port, uses[&port].peers[&peer], watched, false);
            let machines = placed.entry((*group).to_owned()).or_default();
            machines.entry(peer).or_default().insert(seen);
        } else {
            let roles = fitting.into_iter().map(str::to_owned).collect();
            undecided.entry((port, roles)).or_default().insert(peer);
        }
    }
    let open: BTreeSet<&str> = expectations
        .iter()
        .filter(|expectation| expectation.standing == Standing::Expected)
        .map(|expectation| expectation.key.peer_group.as_str())
        .filter(|group| *group != SELF && !placed.contains_key(*group))
        .collect();
    Placed {
        undecided: undecided
            .into_iter()
            .map(|((port, roles), addresses)| Undecided {
                because: words::undecided(port, &roles),
                roles,
                addresses,
            })
            .collect(),
        open: open.into_iter().map(str::to_owned).collect(),
        peers: placed,
    }
}

/// The roles that a peer at a port can have, each with a flow that says so.
fn groups<'e>(
    port: Port,
    used: &Use,
    expectations: &'e [Expectation],
) -> BTreeMap<&'e str, &'e str> {
    expectations
        .iter()
        .filter(|expectation| !expectation.same_host && port.is_expected(used, expectation))
        .map(|expectation| (expectation.key.peer_group.as_str(), expectation.key.flow.as_str()))
        .collect()
}

/// The roles that the document gives an address; none where it does not know it.
fn named<'e>(
    product: &Product,
    groups: &BTreeMap<&'e str, &'e str>,
    peer: IpAddr,
) -> BTreeSet<&'e str> {
    let is_named = |(group, flow): &(&&str, &&str)| {
        let endpoints = product.flow(flow).map(|flow| &flow.endpoints);
        endpoints.into_iter().flatten().any(|endpoint| {
            let plays = endpoint.role.as_ref().is_none_or(|role| role == **group);
            plays && is_at(endpoint, peer)
        })
    };
    groups.iter().filter(is_named).map(|(group, _)| *group).collect()
}

/// Whether the document gives this address to a machine.
fn is_at(endpoint: &Endpoint, peer: IpAddr) -> bool {
    let mut addresses = endpoint.addresses.iter();
    addresses.any(|network| network.is_host() && network.address() == peer)
}

/// How many of the machines that were seen the document has for a scenario.
pub(super) fn of_scenario(product: &Product, scenario: &str, uses: &Uses) -> usize {
    let seen: BTreeSet<IpAddr> =
        uses.values().flat_map(|used| used.peers.keys()).copied().collect();
    let is_of_scenario = |peer: &&IpAddr| {
        let mut endpoints = product.flows.iter().flat_map(|flow| {
            let of_flow = flow.scenarios.iter().any(|id| id == scenario);
            flow.endpoints.iter().map(move |endpoint| (of_flow, endpoint))
        });
        endpoints.any(|(of_flow, endpoint)| {
            let of_endpoint = endpoint.scenarios.iter().any(|id| id == scenario);
            let counts = of_endpoint || (of_flow && endpoint.scenarios.is_empty());
            counts && is_at(endpoint, **peer)
        })
    };
    seen.iter().filter(is_of_scenario).count()
}
