//! What holds for any evidence, over everything that the catalog has.

use std::collections::BTreeSet;

use super::*;
use crate::{
    expect::{Expectation, Matcher, Names, Standing, expectations, of_system},
    observe::{Counters, Tally, Wire},
    suggest::{
        roles::system,
        strength::{Strength, has_port, strength},
    },
};

/// A flow of a host with a role, at every port that can be recognised.
fn flows_of(product: &str, role: &str, scenario: Option<&str>) -> Vec<FlowId> {
    let product = catalog::bundled().product(product).unwrap();
    let role = product.role(role).unwrap();
    let expectations = of_system(&system(product, &[role], scenario, Vec::new()));
    let mut flows = Vec::new();
    for expectation in expectations.iter().filter(|expectation| !expectation.same_host) {
        for ports in &expectation.ports {
            let catalog::Ports::Range { first, last } = *ports else { continue };
            for port in (first..=last).filter(|port| has_port(expectation, *port)) {
                flows.extend(expectation.transports.iter().map(|transport| FlowId {
                    service_port: port,
                    transport: *transport,
                    side: expectation.key.side,
                    loopback: false,
                    peer: "10.0.0.1".parse().unwrap(),
                }));
            }
        }
    }
    flows.sort_unstable();
    flows.dedup();
    flows
}

/// Every role of the catalog in every scenario, with the flows of a host that plays it.
fn every_role() -> Vec<(&'static str, &'static str, Vec<FlowId>)> {
    let mut all = Vec::new();
    for product in &catalog::bundled().products {
        let scenarios: Vec<Option<&str>> = match product.scenarios.as_slice() {
            [] => vec![None],
            some => some.iter().map(|scenario| Some(scenario.id.as_str())).collect(),
        };
        for role in &product.roles {
            for scenario in &scenarios {
                let flows = flows_of(&product.id, &role.id, *scenario);
                all.push((product.id.as_str(), role.id.as_str(), flows));
            }
        }
    }
    all
}

fn evidence_of(flows: impl IntoIterator<Item = FlowId>) -> Evidence {
    let seen = Seen { connections: 1, opened: 0, packets: 0 };
    let mut evidence = host();
    for flow in flows {
        evidence.flows.insert(flow, seen);
        if flow.side == Side::Server {
            let address = SocketAddr::new("::".parse().unwrap(), flow.service_port);
            let transport = flow.transport;
            evidence.listeners.push(Listener { transport, address, process: None });
        }
    }
    evidence
}

/// The printed config is one, and its expectations cover each telling flow of what it proposes.
fn holds(evidence: &Evidence) -> Vec<Proposal> {
    let proposals = proposals(evidence);
    if proposals.is_empty() {
        return proposals;
    }
    let text = reads(evidence, &proposals);
    let expectations = expectations(&config::parse("suggested.toml", &text).unwrap());
    let names = Names::new();
    let matcher = Matcher::new(&expectations, &names);
    for flow in evidence.flows.keys() {
        let placed = proposals.iter().any(|proposal| {
            let peers = proposal.peers.iter().filter(|(_, peers)| peers.contains_key(&flow.peer));
            let groups: BTreeSet<&str> = peers.map(|(group, _)| group.as_str()).collect();
            expectations.iter().any(|expectation| {
                expectation.key.product == proposal.product
                    && groups.contains(expectation.key.peer_group.as_str())
                    && covers(expectation, flow)
            })
        });
        if placed {
            assert!(!matcher.matches(flow, &tally()).is_empty(), "{flow}\n{text}");
        }
    }
    proposals
}

fn covers(expectation: &Expectation, flow: &FlowId) -> bool {
    expectation.standing == Standing::Expected
        && expectation.key.side == flow.side
        && expectation.transports.contains(&flow.transport)
        && has_port(expectation, flow.service_port)
}

fn tally() -> Tally {
    let some = Counters { packets: 1, ..Counters::ZERO };
    let wire = Wire { received: some, transmitted: some, ..Wire::default() };
    Tally { wire, ..Tally::default() }
}

#[test]
fn host_that_does_all_of_a_role_gets_its_product_or_another_with_the_same_ports() {
    let mut found = 0;
    for (product, role, flows) in every_role() {
        let tells = flows.iter().any(|flow| strength(flow.service_port) == Strength::Telling);
        let proposals = holds(&evidence_of(flows));
        let has = proposals.iter().any(|proposal| proposal.product == product);
        // With no port of its own, a role is not recognised.
        assert!(has || !tells, "{product} {role}");
        found += usize::from(tells);
    }
    assert!(found > 40, "{found}");
}

#[test]
fn any_flow_alone() {
    let flows: BTreeSet<FlowId> =
        every_role().into_iter().flat_map(|(_, _, flows)| flows).collect();
    assert!(flows.len() > 200, "{}", flows.len());
    for flow in flows {
        let proposals = holds(&evidence_of([flow]));
        if strength(flow.service_port) < Strength::Telling {
            assert_eq!(proposals.len(), 0, "{flow}");
        }
    }
}

#[test]
fn any_flows_together() {
    let flows: BTreeSet<FlowId> =
        every_role().into_iter().flat_map(|(_, _, flows)| flows).collect();
    let flows: Vec<FlowId> = flows.into_iter().collect();
    let mut state: u32 = 1;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap() % below
    };
    let mut proposed = 0;
    for _ in 0..100 {
        let some: Vec<FlowId> = (0..=random(12))
            .map(|_| {
                let peer = format!("10.0.0.{}", random(3)).parse().unwrap();
                FlowId { peer, ..flows[random(flows.len())] }
            })
            .collect();
        proposed += holds(&evidence_of(some)).len();
    }
    assert!(proposed > 50, "{proposed}");
}

#[test]
fn no_alternative_explains_more_than_the_role_that_is_proposed() {
    let mut compared = 0;
    for (product, _, flows) in every_role() {
        let evidence = evidence_of(flows);
        for proposal in proposals(&evidence).iter().filter(|it| it.product == product) {
            let scenario = proposal.scenario.as_deref();
            let explained = |role: &str| {
                let catalog = catalog::bundled().product(product).unwrap();
                let role = catalog.role(role).unwrap();
                let expectations = of_system(&system(catalog, &[role], scenario, Vec::new()));
                let used = evidence.flows.keys().filter(|flow| {
                    strength(flow.service_port) > Strength::Weak
                        && expectations.iter().any(|expectation| covers(expectation, flow))
                });
                used.count()
            };
            let proposed = explained(&proposal.roles[0].role);
            for alternative in proposal.alternatives.keys() {
                compared += 1;
                // What another role was chosen for is another matter.
                if proposal.roles.len() == 1 {
                    let role = &proposal.roles[0].role;
                    assert!(explained(alternative) <= proposed, "{role} {alternative}");
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}
