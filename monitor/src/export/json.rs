//! The rules for programs.

use std::collections::BTreeSet;

use catalog::{Ports, Requirement};
use serde::Serialize;

use super::{NotOpened, Plan, Rule};
use crate::observe::{side_name, transport_name};

/// Version of the JSON's layout.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Export<'a> {
    schema: u32,
    rules: Vec<Opened<'a>>,
    not_opened: Vec<Left<'a>>,
}

#[derive(Serialize)]
struct Opened<'a> {
    system: &'a str,
    product: &'a str,
    flow: &'a str,
    direction: &'a str,
    peer_group: &'a str,
    transports: Vec<&'a str>,
    ports: &'a BTreeSet<Ports>,
    peers: Vec<String>,
    open: bool,
    same_host: bool,
    purpose: &'a str,
    requirement: Requirement,
    documents: Vec<Section<'a>>,
}

#[derive(Serialize)]
struct Section<'a> {
    document: &'a str,
    section: &'a str,
}

#[derive(Serialize)]
struct Left<'a> {
    system: &'a str,
    product: &'a str,
    flow: &'a str,
    side: &'a str,
    peer_group: &'a str,
    reason: &'a str,
    explanation: String,
}

/// A value to print as JSON.
pub fn json(plan: &Plan) -> impl Serialize + '_ {
    Export {
        schema: SCHEMA,
        rules: plan.rules.iter().map(opened).collect(),
        not_opened: plan.not_opened.iter().map(left).collect(),
    }
}

fn opened(rule: &Rule) -> Opened<'_> {
    let expectation = &rule.expectation;
    let key = &expectation.key;
    Opened {
        system: &key.system,
        product: &key.product,
        flow: &key.flow,
        direction: if rule.is_inbound() { "in" } else { "out" },
        peer_group: &key.peer_group,
        transports: expectation.transports.iter().copied().map(transport_name).collect(),
        ports: &rule.ports,
        peers: rule.listed().iter().map(ToString::to_string).collect(),
        open: rule.is_open(),
        same_host: expectation.same_host,
        purpose: &expectation.purpose,
        requirement: expectation.requirement,
        documents: rule
            .sections
            .iter()
            .map(|(document, section)| Section { document, section })
            .collect(),
    }
}

fn left(not_opened: &NotOpened) -> Left<'_> {
    let key = &not_opened.expectation.key;
    Left {
        system: &key.system,
        product: &key.product,
        flow: &key.flow,
        side: side_name(key.side),
        peer_group: &key.peer_group,
        reason: not_opened.reason.code(),
        explanation: not_opened.to_string(),
    }
}
