//! What a flow names exists.

use crate::{Flow, Product};

pub(super) fn check(product: &Product, flow: &Flow, found: &mut dyn FnMut(String)) {
    for role in flow.from.iter().chain(&flow.to) {
        if product.role(role).is_none() {
            found(format!("role {role} is not defined"));
        }
    }
    for scenario in flow.rows().flat_map(|row| row.scenarios) {
        if product.scenario(scenario).is_none() {
            found(format!("scenario {scenario} is not defined"));
        }
    }
    other_flows(product, flow, found);
    sources(product, flow, found);
    parts(product, flow, found);
}

fn other_flows(product: &Product, flow: &Flow, found: &mut dyn FnMut(String)) {
    if let Some(replaces) = &flow.replaces
        && (replaces.flow == flow.id || product.flow(&replaces.flow).is_none())
    {
        found(format!("it replaces {}, which is no other flow", replaces.flow));
    }
    let replacing = flow.replaces.as_ref().map(|replaces| &replaces.option);
    for option in flow.option.iter().chain(replacing) {
        if product.option(option).is_none() {
            found(format!("option {option} is not defined"));
        }
    }
    if let Some(group) = &flow.alternatives {
        let is_member = |other: &&Flow| other.alternatives.as_ref() == Some(group);
        if product.flows.iter().filter(is_member).count() < 2 {
            found(format!("it is the only one of the alternatives {group}"));
        }
    }
}

fn sources(product: &Product, flow: &Flow, found: &mut dyn FnMut(String)) {
    for source in &flow.sources {
        match product.document(&source.document) {
            None => found(format!("document {} is not defined", source.document)),
            Some(document) if !document.sections.contains(&source.section) => {
                found(format!("document {} has no section {}", document.id, source.section));
            }
            Some(_) => {}
        }
    }
}

/// Endpoints and kinds of address stay within the flow's own roles, sections and scenarios.
fn parts(product: &Product, flow: &Flow, found: &mut dyn FnMut(String)) {
    let takes_part = |role: &String| flow.from.contains(role) || flow.to.contains(role);
    let roles = flow.endpoints.iter().filter_map(|endpoint| endpoint.role.as_ref());
    for role in roles.chain(flow.addressed_by.iter().map(|by| &by.role)) {
        if !takes_part(role) {
            found(format!("role {role} takes no part in it"));
        }
    }
    for endpoint in &flow.endpoints {
        if let Some(section) = &endpoint.section
            && !flow.sources.iter().any(|source| source.section == *section)
        {
            found(format!("{} is of section {section}, no source of it", endpoint.label()));
        }
        for scenario in &endpoint.scenarios {
            let is_in_flow = flow.scenarios.is_empty() || flow.scenarios.contains(scenario);
            if product.scenario(scenario).is_none() || !is_in_flow {
                found(format!("{} is of scenario {scenario}, none of its", endpoint.label()));
            }
        }
    }
}
