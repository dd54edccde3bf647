//! The catalog as plain lines, to compare it with the documents.

use std::fmt;

use crate::{Endpoint, Flow, Ports, Product, Requirement, Source, Transport};

/// One thing that one document says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    /// Id of the product.
    pub product: String,
    /// Id of the document.
    pub document: String,
    /// Id of the section.
    pub section: String,
    /// Role that opens the connection.
    pub from: String,
    /// Role that is connected to.
    pub to: String,
    /// The transport.
    pub transport: Transport,
    /// A port, a range, or `dynamic`.
    pub ports: Ports,
    /// Id of the scenario, empty where it makes no difference.
    pub scenario: String,
    /// How the document puts it.
    pub requirement: Requirement,
    /// The document's kind of traffic, or empty.
    pub traffic: String,
    /// A machine or network that the document names, or empty.
    pub endpoint: String,
}

impl Fact {
    /// The names of the columns, with tabs between.
    pub const HEADER: &str = "product\tdocument\tsection\tfrom\tto\ttransport\tport_first\tport_last\tscenario\trequirement\ttraffic\tendpoint";
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let (first, last) = match self.ports {
            Ports::Range { first, last } => (first.to_string(), last.to_string()),
            Ports::Dynamic => ("dynamic".to_owned(), "dynamic".to_owned()),
        };
        let columns = [
            self.product.clone(),
            self.document.clone(),
            self.section.clone(),
            self.from.clone(),
            self.to.clone(),
            self.transport.to_string(),
            first,
            last,
            or_dash(&self.scenario),
            self.requirement.to_string(),
            or_dash(&self.traffic),
            or_dash(&self.endpoint),
        ];
        f.write_str(&columns.join("\t"))
    }
}

/// Every combination of what a flow lists is a fact of its own.
pub(crate) fn of_product(product: &Product) -> Vec<Fact> {
    let flows = product.flows.iter();
    flows
        .flat_map(|flow| flow.sources.iter().flat_map(|source| of_source(product, flow, source)))
        .collect()
}

fn of_source(product: &Product, flow: &Flow, source: &Source) -> Vec<Fact> {
    let scenarios = or_one_empty(flow.scenarios.iter().map(String::as_str));
    let endpoints = or_one_empty(flow.endpoints.iter().map(Endpoint::label));
    let mut facts = Vec::new();
    for from in &flow.from {
        for to in &flow.to {
            for transport in &flow.transport {
                for ports in &flow.ports {
                    for scenario in &scenarios {
                        for endpoint in &endpoints {
                            facts.push(Fact {
                                product: product.id.clone(),
                                document: source.document.clone(),
                                section: source.section.clone(),
                                from: from.clone(),
                                to: to.clone(),
                                transport: *transport,
                                ports: *ports,
                                scenario: (*scenario).to_owned(),
                                requirement: flow.requirement,
                                traffic: flow.traffic.clone().unwrap_or_default(),
                                endpoint: (*endpoint).to_owned(),
                            });
                        }
                    }
                }
            }
        }
    }
    facts
}

fn or_one_empty<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let items: Vec<&str> = items.collect();
    if items.is_empty() { vec![""] } else { items }
}
