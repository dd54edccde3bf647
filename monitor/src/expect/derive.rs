//! Roles × flows × peers of the config → expectations.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Flow, Heading, Ports, Requirement, Row, Scope};
use jiff::SignedDuration;

use super::{Expectation, Key, Peers, Standing, documented};
use crate::{
    config::{Config, Due, System},
    observe::{PortSet, Side, Transport},
};

/// Name of the peers of a flow that stays on the host.
pub const SELF: &str = "self";

/// Within which time a flow is due that every backup uses: a nightly job, and two hours.
pub const DAILY: SignedDuration = SignedDuration::from_hours(26);

/// Every expectation of a config, sorted by key; those too that are only recognised.
pub fn expectations(config: &Config) -> Vec<Expectation> {
    let mut all: Vec<Expectation> = config.systems.iter().flat_map(of_system).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

/// The expectations of one system.
pub fn of_system(system: &System) -> Vec<Expectation> {
    let roles = system.product.with_included(&system.roles);
    let mut expectations = Vec::new();
    for flow in &system.product.flows {
        let ends = ends(system, &roles, flow);
        expectations.extend(
            ends.into_iter()
                .map(|((side, group), end)| expectation(system, flow, side, group, end)),
        );
    }
    expectations
}

/// What the sections say of a flow for one side and one group of peers.
#[derive(Default)]
struct End {
    transports: BTreeSet<Transport>,
    ports: BTreeSet<Ports>,
    /// A section says that the connection may as well be opened from the other end.
    either_way: bool,
}

/// The ends of a flow at which this host stands, by side and group of peers.
fn ends<'a>(
    system: &'a System,
    roles: &BTreeSet<&str>,
    flow: &'static Flow,
) -> BTreeMap<(Side, &'a str), End> {
    let scope = Scope {
        sections: &system.sections,
        scenario: system.scenario.as_deref(),
        options: &system.options,
    };
    let plays = |ours: &[String]| ours.iter().any(|role| roles.contains(role.as_str()));
    let mut ends: BTreeMap<_, End> = BTreeMap::new();
    for row in system.product.rows_in(flow, scope) {
        if flow.same_host {
            if plays(row.from) {
                ends.entry((Side::Server, SELF)).or_default().take_in(row, false);
            }
            continue;
        }
        let either_way = row.source.direction == Some(Heading::Bidirectional);
        let mut sides = vec![(Side::Client, row.from, row.to), (Side::Server, row.to, row.from)];
        if either_way || flow.both_ways {
            sides.extend([(Side::Client, row.to, row.from), (Side::Server, row.from, row.to)]);
        }
        for (side, ours, theirs) in sides {
            if plays(ours) {
                for group in theirs {
                    ends.entry((side, system.product.meant(group)))
                        .or_default()
                        .take_in(row, either_way && !flow.both_ways);
                }
            }
        }
    }
    ends
}

impl End {
    fn take_in(&mut self, row: Row<'_>, either_way: bool) {
        self.transports.extend(row.transport.iter().map(|transport| match transport {
            catalog::Transport::Tcp => Transport::Tcp,
            catalog::Transport::Udp => Transport::Udp,
        }));
        self.ports.extend(row.ports);
        self.either_way |= either_way;
    }
}

fn expectation(
    system: &System,
    flow: &'static Flow,
    side: Side,
    group: &str,
    end: End,
) -> Expectation {
    let is_on = |option: &String| system.options.contains(option);
    let takes_over = flow.replaces.as_ref().is_some_and(|replaces| is_on(&replaces.option));
    let changed = system.ports.get(&flow.id);
    let (ports, former_ports) = match changed.map(|&port| Ports::Range { first: port, last: port })
    {
        Some(port) => (BTreeSet::from([port]), end.ports),
        None => (end.ports, BTreeSet::new()),
    };
    let requirement = if takes_over { Requirement::Required } else { flow.requirement };
    let presence = system.expect.iter().rfind(|presence| presence.covers(&flow.id));
    let peers = match system.peers.get(group) {
        Some(peers) => Peers::Declared(peers.clone()),
        None => documented::peers(system, flow, side, group),
    };
    Expectation {
        key: Key {
            system: system.name.clone(),
            product: system.product.id.clone(),
            flow: flow.id.clone(),
            side,
            peer_group: group.to_owned(),
        },
        standing: standing(system, flow),
        transports: end.transports,
        ports,
        former_ports,
        requirement,
        purpose: flow.purpose.clone(),
        due: match presence {
            Some(presence) => presence.due.clone(),
            None if is_due_by_default(flow, side, requirement, &peers) => Due::Daily,
            None => Due::Never,
        },
        peers,
        same_host: flow.same_host,
        firewall: flow.firewall,
        one_way: flow.one_way || flow.multicast,
        multicast: flow.multicast,
        every_member: flow.every_member,
        alternatives: match &flow.alternatives {
            Some(name) => Some(name.clone()),
            None => end.either_way.then(|| flow.id.clone()),
        },
    }
}

/// Whether a flow is due although the config says nothing: the regular backups go this way, on no
/// condition, and it is sure that there are such peers.
fn is_due_by_default(flow: &Flow, side: Side, requirement: Requirement, peers: &Peers) -> bool {
    let roles = if side == Side::Client { &flow.to } else { &flow.from };
    let has_peers = matches!(peers, Peers::Declared(_)) || roles.len() == 1;
    flow.daily && requirement == Requirement::Required && has_peers
}

fn standing(system: &System, flow: &Flow) -> Standing {
    let replaces_it = |other: &Flow| {
        other.replaces.as_ref().is_some_and(|replaces| {
            replaces.flow == flow.id && system.options.contains(&replaces.option)
        })
    };
    if flow.requirement == Requirement::Legacy {
        Standing::Legacy
    } else if system.product.flows.iter().any(replaces_it) {
        Standing::Replaced
    } else {
        Standing::Expected
    }
}

/// The ports to count: those of every expectation, those too that are only recognised.
pub fn documented_ports(expectations: &[Expectation]) -> PortSet {
    let mut set = PortSet::default();
    for expectation in expectations {
        for transport in &expectation.transports {
            for ports in expectation.ports.iter().chain(&expectation.former_ports) {
                if let Ports::Range { first, last } = ports {
                    for port in *first..=*last {
                        set.insert(*transport, port);
                    }
                }
            }
        }
    }
    set
}
