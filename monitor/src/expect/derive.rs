//! Roles × flows × peers of the config → expectations.

use std::collections::BTreeSet;

use catalog::{Flow, Ports};

use super::{Expectation, Key, Peers};
use crate::{
    config::{Config, System},
    observe::{PortSet, Side, Transport},
};

/// Every expectation of a config, sorted by key; legacy flows too, which are not expected but
/// recognised.
pub fn expectations(config: &Config) -> Vec<Expectation> {
    let mut all: Vec<Expectation> = config.systems.iter().flat_map(of_system).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

fn of_system(system: &System) -> Vec<Expectation> {
    let mut expectations = Vec::new();
    for flow in flows(system) {
        let plays = |roles: &[String]| roles.iter().any(|role| system.roles.contains(role));
        if flow.same_host {
            if plays(&flow.from) || plays(&flow.to) {
                expectations.push(expectation(system, flow, Side::Server, "self"));
            }
            continue;
        }
        let mut ends =
            vec![(Side::Client, &flow.from, &flow.to), (Side::Server, &flow.to, &flow.from)];
        if flow.both_ways {
            ends.extend([
                (Side::Client, &flow.to, &flow.from),
                (Side::Server, &flow.from, &flow.to),
            ]);
        }
        for (side, ours, theirs) in ends {
            if plays(ours) {
                let groups: BTreeSet<&String> = theirs.iter().collect();
                expectations
                    .extend(groups.into_iter().map(|group| expectation(system, flow, side, group)));
            }
        }
    }
    expectations
}

/// The flows of the product that the system's scenario and sections leave.
fn flows(system: &System) -> impl Iterator<Item = &'static Flow> {
    system.product.flows.iter().filter(|flow| {
        let in_scenario = flow.scenarios.is_empty()
            || system.scenario.as_ref().is_some_and(|scenario| flow.scenarios.contains(scenario));
        let in_sections = system.sections.is_empty()
            || flow.sources.iter().any(|source| system.sections.contains(&source.section));
        in_scenario && in_sections
    })
}

fn expectation(system: &System, flow: &Flow, side: Side, group: &str) -> Expectation {
    Expectation {
        key: Key {
            system: system.name.clone(),
            product: system.product.id.clone(),
            flow: flow.id.clone(),
            side,
            peer_group: group.to_owned(),
        },
        transports: transports(flow),
        ports: ports(system, flow),
        requirement: flow.requirement,
        purpose: flow.purpose.clone(),
        peers: system.peers.get(group).map_or(Peers::Any, |peers| Peers::Declared(peers.clone())),
        same_host: flow.same_host,
        within: system
            .expect
            .iter()
            .rfind(|presence| presence.covers(&flow.id))
            .map(|presence| presence.within),
    }
}

fn transports(flow: &Flow) -> BTreeSet<Transport> {
    flow.transport
        .iter()
        .map(|transport| match transport {
            catalog::Transport::Tcp => Transport::Tcp,
            catalog::Transport::Udp => Transport::Udp,
        })
        .collect()
}

fn ports(system: &System, flow: &Flow) -> Vec<Ports> {
    match system.ports.get(&flow.id) {
        Some(&port) => vec![Ports::Range { first: port, last: port }],
        None => flow.ports.clone(),
    }
}

/// The ports to count: those of every flow in which the systems' roles take part, legacy ones too.
pub fn documented_ports(config: &Config) -> PortSet {
    let mut set = PortSet::default();
    for system in &config.systems {
        let ours = flows(system).filter(|flow| {
            let mut roles = flow.from.iter().chain(&flow.to);
            roles.any(|role| system.roles.contains(role))
        });
        for flow in ours {
            for transport in transports(flow) {
                for ports in ports(system, flow) {
                    if let Ports::Range { first, last } = ports {
                        for port in first..=last {
                            set.insert(transport, port);
                        }
                    }
                }
            }
        }
    }
    set
}
