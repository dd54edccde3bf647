//! The peers that a document names, for a group that the config leaves open.

use std::cmp::Reverse;

use catalog::{Endpoint, Flow};
use ipnet::IpNet;

use super::Peers;
use crate::{
    config::{Peer, System},
    observe::Side,
};

/// The machines and networks that the document names for a group, anyone if it names none. An
/// endpoint without a role is of those that are connected to.
pub(super) fn peers(system: &System, flow: &Flow, side: Side, group: &str) -> Peers {
    let is_meant = |endpoint: &&Endpoint| {
        let in_group = match &endpoint.role {
            Some(role) => role == group,
            None => side == Side::Client && flow.to.iter().any(|role| role == group),
        };
        let in_scenario = endpoint.scenarios.is_empty()
            || system.scenario.as_ref().is_none_or(|id| endpoint.scenarios.contains(id));
        let in_sections = system.sections.is_empty()
            || endpoint.section.as_ref().is_none_or(|section| system.sections.contains(section));
        in_group && in_scenario && in_sections
    };
    let mut peers: Vec<Peer> =
        flow.endpoints.iter().filter(is_meant).flat_map(of_endpoint).collect();
    if peers.is_empty() {
        return Peers::Any;
    }
    // The first that fits gives the label: names, then small networks, then large ones.
    peers.sort_by_key(|peer| match peer {
        Peer::Name(_) => (0, Reverse(0)),
        Peer::Below(_) => (1, Reverse(0)),
        Peer::Net(net) => (2, Reverse(net.prefix_len())),
    });
    let mut distinct: Vec<Peer> = Vec::new();
    for peer in peers {
        if !distinct.contains(&peer) {
            distinct.push(peer);
        }
    }
    Peers::Documented(distinct)
}

/// A name stands for what it is resolved to now, not for the addresses that the document gives it.
fn of_endpoint(endpoint: &Endpoint) -> Vec<Peer> {
    match &endpoint.name {
        Some(name) => match name.strip_prefix("*.") {
            Some(domain) => vec![Peer::Below(domain.to_owned())],
            None => vec![Peer::Name(name.clone())],
        },
        None => endpoint
            .addresses
            .iter()
            .filter_map(|network| IpNet::new(network.address(), network.prefix()).ok())
            .map(Peer::Net)
            .collect(),
    }
}
