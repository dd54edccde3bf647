//! From the evidence to one system for each product.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use catalog::{Product, Role};

use super::{
    Evidence, Proposal, ProposedOption, ProposedRole,
    peers::{self, Placed},
    ports::{Port, uses},
    roles::{Choice, Uses, choose, system},
    strength::{Strength, strength},
    words,
};
use crate::{
    expect::{Expectation, of_system},
    observe::Side,
};

/// What this host seems to take part in, what is more certain first.
pub fn proposals(evidence: &Evidence) -> Vec<Proposal> {
    let uses = uses(evidence);
    let products = &catalog::bundled().products;
    let mut proposals: Vec<Proposal> =
        products.iter().filter_map(|product| propose(product, &uses, evidence.watched)).collect();
    proposals.sort_by_key(|proposal| proposal.doubt.is_some());
    proposals
}

/// A way to deploy the product, and what follows from it.
struct Deployment {
    scenario: Option<&'static str>,
    choice: Choice,
    expectations: Vec<Expectation>,
}

impl Deployment {
    /// How much of what is seen it explains, and how many of the peers the document has for it.
    fn fit(&self, product: &Product, uses: &Uses) -> (usize, usize) {
        let named = self.scenario.map_or(0, |id| peers::of_scenario(product, id, uses));
        (self.choice.explained.len(), named)
    }
}

fn propose(product: &'static Product, uses: &Uses, watched: Option<u64>) -> Option<Proposal> {
    let scenarios: Vec<Option<&str>> = match product.scenarios.as_slice() {
        [] => vec![None],
        some => some.iter().map(|scenario| Some(scenario.id.as_str())).collect(),
    };
    let deployments: Vec<Deployment> = scenarios
        .into_iter()
        .filter_map(|scenario| {
            let choice = choose(product, scenario, uses)?;
            let expectations = of_system(&system(product, &choice.roles, scenario, Vec::new()));
            Some(Deployment { scenario, choice, expectations })
        })
        .collect();
    let fit = |deployment: &&Deployment| deployment.fit(product, uses);
    let best = deployments.iter().min_by_key(|deployment| Reverse(fit(deployment)))?;
    let others = deployments
        .iter()
        .filter(|other| other.scenario != best.scenario && fit(other) == fit(&best));
    let scenario_alternatives = others
        .filter_map(|other| product.scenario(other.scenario?))
        .map(|scenario| (scenario.id.clone(), scenario.name.clone()))
        .collect();

    let Deployment { scenario, choice, expectations } = best;
    let Placed { peers, undecided, open } = peers::place(product, expectations, uses, watched);
    let is_shared = choice.is_shared;
    Some(Proposal {
        product: product.id.clone(),
        name: product.name.clone(),
        doubt: is_shared
            .then(|| "A guess as a whole: other software uses each of these ports too.".to_owned()),
        roles: choice.roles.iter().map(|role| because(product, role, *scenario, uses)).collect(),
        alternatives: choice
            .alternatives
            .iter()
            .map(|role| (role.id.clone(), role.name.clone()))
            .collect(),
        scenario: scenario.map(str::to_owned),
        scenario_alternatives,
        options: options(product, expectations, uses),
        peers,
        undecided,
        open,
    })
}

/// A role with all that it explains, what tells most first.
fn because(
    product: &'static Product,
    role: &Role,
    scenario: Option<&str>,
    uses: &Uses,
) -> ProposedRole {
    let expectations = of_system(&system(product, &[role], scenario, Vec::new()));
    let mut because: Vec<(Reverse<Strength>, Port, String)> = Vec::new();
    for (port, used) in uses {
        let flows: BTreeSet<&str> = expectations
            .iter()
            .filter(|expectation| port.is_expected(used, expectation))
            .map(|expectation| expectation.key.flow.as_str())
            .collect();
        let strength = strength(port.port);
        if !flows.is_empty() && strength > Strength::Weak {
            because.push((Reverse(strength), *port, words::reason(*port, used, strength, &flows)));
        }
    }
    because.sort();
    ProposedRole {
        role: role.id.clone(),
        name: role.name.clone(),
        because: because.into_iter().map(|(_, _, text)| text).collect(),
    }
}

/// Options whose flow is seen in place of the one that it replaces.
fn options(product: &Product, expectations: &[Expectation], uses: &Uses) -> Vec<ProposedOption> {
    let used = |flow: &str| {
        let mut of_flow = expectations.iter().filter(|expectation| expectation.key.flow == flow);
        of_flow.find_map(|expectation| {
            uses.iter()
                .find(|(port, used)| port.is_expected(used, expectation))
                .map(|(port, _)| *port)
        })
    };
    let mut options = BTreeMap::new();
    for flow in &product.flows {
        let Some(replaces) = &flow.replaces else { continue };
        let (Some(port), None) = (used(&flow.id), used(&replaces.flow)) else { continue };
        let Some(option) = product.option(&replaces.option) else { continue };
        let verb = match port.side {
            Side::Server => "is served",
            Side::Client => "is connected to",
        };
        let because = format!(
            "{port} ({}) {verb}, and not the port that it takes the place of ({})",
            flow.id, replaces.flow,
        );
        options.insert(
            option.id.clone(),
            ProposedOption { option: option.id.clone(), name: option.name.clone(), because },
        );
    }
    options.into_values().collect()
}
