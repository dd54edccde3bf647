//! What is wrong with a product's file, beyond its syntax.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{Flow, Ports, Product, Requirement};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Id of the product.
    pub product: String,
    /// Id of the flow, where it is about one.
    pub flow: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.flow {
            Some(flow) => write!(f, "{}: {flow}: {}", self.product, self.message),
            None => write!(f, "{}: {}", self.product, self.message),
        }
    }
}

/// Everything that is wrong with a product.
pub(crate) fn product(product: &Product) -> Vec<Finding> {
    let mut findings = Vec::new();
    names(product, &mut |message| {
        findings.push(Finding { product: product.id.clone(), flow: None, message });
    });
    for flow in &product.flows {
        let mut found = |message| {
            findings.push(Finding {
                product: product.id.clone(),
                flow: Some(flow.id.clone()),
                message,
            });
        };
        references(product, flow, &mut found);
        sense(flow, &mut found);
    }
    findings
}

/// Ids are well formed and unique, and no section is left without a flow or a reason.
fn names(product: &Product, found: &mut dyn FnMut(String)) {
    let kinds: [(&str, Vec<&str>); 4] = [
        ("document", product.documents.iter().map(|document| document.id.as_str()).collect()),
        ("role", product.roles.iter().map(|role| role.id.as_str()).collect()),
        ("scenario", product.scenarios.iter().map(|scenario| scenario.id.as_str()).collect()),
        ("flow", product.flows.iter().map(|flow| flow.id.as_str()).collect()),
    ];
    for (kind, ids) in kinds {
        let mut seen = BTreeSet::new();
        for id in ids {
            if !seen.insert(id) {
                found(format!("{kind} {id} stands twice"));
            }
            if kind != "document" && !is_kebab_case(id) {
                found(format!("{kind} {id} is not in lower case with dashes"));
            }
        }
    }
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in product.flows.iter().flat_map(|flow| &flow.sources) {
        used.entry(&source.document).or_default().insert(&source.section);
    }
    for document in &product.documents {
        for section in &document.sections {
            let has_flow = used
                .get(document.id.as_str())
                .is_some_and(|sections| sections.contains(section.id.as_str()));
            match (&section.no_flow, has_flow) {
                (None, false) => found(format!(
                    "section {} of {} has no flow and no reason for that",
                    section.id, document.id
                )),
                (Some(_), true) => found(format!(
                    "section {} of {} has flows and a reason for none",
                    section.id, document.id
                )),
                _ => {}
            }
        }
    }
}

fn is_kebab_case(id: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    id.split('-').all(is_word)
}

/// What a flow names exists.
fn references(product: &Product, flow: &Flow, found: &mut dyn FnMut(String)) {
    for role in flow.from.iter().chain(&flow.to) {
        if product.role(role).is_none() {
            found(format!("role {role} is not defined"));
        }
    }
    for scenario in &flow.scenarios {
        if product.scenario(scenario).is_none() {
            found(format!("scenario {scenario} is not defined"));
        }
    }
    if let Some(replaces) = &flow.replaces
        && (replaces.flow == flow.id || product.flow(&replaces.flow).is_none())
    {
        found(format!("it replaces {}, which is no other flow", replaces.flow));
    }
    if let Some(group) = &flow.alternative {
        let members =
            product.flows.iter().filter(|other| other.alternative.as_ref() == Some(group));
        if members.count() < 2 {
            found(format!("it is alone in the alternatives {group}"));
        }
    }
    for source in &flow.sources {
        match product.document(&source.document) {
            None => found(format!("document {} is not defined", source.document)),
            Some(document) => {
                if !document.sections.iter().any(|section| section.id == source.section) {
                    found(format!("document {} has no section {}", document.id, source.section));
                }
            }
        }
    }
}

/// What a flow says makes sense.
fn sense(flow: &Flow, found: &mut dyn FnMut(String)) {
    let lists = [
        ("from", flow.from.len()),
        ("to", flow.to.len()),
        ("transport", flow.transport.len()),
        ("ports", flow.ports.len()),
        ("source", flow.sources.len()),
    ];
    for (list, length) in lists {
        if length == 0 {
            found(format!("{list} is empty"));
        }
    }
    for ports in &flow.ports {
        if let Ports::Range { first, last } = ports
            && (*first == 0 || first > last)
        {
            found(format!("{ports} is no port range"));
        }
    }
    if (flow.requirement == Requirement::Conditional) != flow.condition.is_some() {
        found("a condition belongs to a conditional flow, and to no other".to_owned());
    }
    if flow.purpose.trim().is_empty() {
        found("it has no purpose".to_owned());
    }
    if flow.same_host && flow.from != flow.to {
        found("it stays on the host but has different roles".to_owned());
    }
    for endpoint in &flow.endpoints {
        if endpoint.name.is_none() && endpoint.address.is_none() {
            found("an endpoint has neither name nor address".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::product;

    const GOOD: &str = r#"
        id = "p"
        name = "P"
        [[document]]
        id = "d"
        title = "D"
        vendor = "V"
        edition = "1"
        language = "en"
        sections = [{ id = "s" }]
        [[role]]
        id = "a"
        name = "A"
        [[flow]]
        id = "f-1"
        from = ["a"]
        to = ["a"]
        transport = ["tcp"]
        ports = [1]
        requirement = "required"
        purpose = "x"
        source = [{ document = "d", section = "s" }]
    "#;

    fn findings(text: &str) -> Vec<String> {
        let parsed = toml::from_str(text).unwrap();
        product(&parsed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn good_product_has_no_finding() {
        assert_eq!(findings(GOOD), [""; 0]);
    }

    #[test]
    fn every_rule_finds_its_fault() {
        for (from, to, expected) in [
            ("from = [\"a\"]", "from = [\"b\"]", "p: f-1: role b is not defined"),
            ("from = [\"a\"]", "from = []", "p: f-1: from is empty"),
            ("ports = [1]", "ports = [0]", "p: f-1: 0 is no port range"),
            ("ports = [1]", "ports = [\"9-2\"]", "p: f-1: 9-2 is no port range"),
            (
                "\"required\"",
                "\"conditional\"",
                "p: f-1: a condition belongs to a conditional flow, and to no other",
            ),
            ("purpose = \"x\"", "purpose = \" \"", "p: f-1: it has no purpose"),
            ("id = \"f-1\"", "id = \"F_1\"", "p: flow F_1 is not in lower case with dashes"),
            (
                "document = \"d\", section",
                "document = \"e\", section",
                "p: section s of d has no flow and no reason for that|p: f-1: document e is not defined",
            ),
            (
                "section = \"s\"",
                "section = \"t\"",
                "p: section s of d has no flow and no reason for that|p: f-1: document d has no section t",
            ),
            (
                "{ id = \"s\" }",
                "{ id = \"s\", no-flow = \"x\" }",
                "p: section s of d has flows and a reason for none",
            ),
            (
                "purpose =",
                "alternative = \"g\"\npurpose =",
                "p: f-1: it is alone in the alternatives g",
            ),
            (
                "purpose =",
                "replaces = { flow = \"f-1\", when = \"x\" }\npurpose =",
                "p: f-1: it replaces f-1, which is no other flow",
            ),
            ("purpose =", "scenarios = [\"n\"]\npurpose =", "p: f-1: scenario n is not defined"),
            (
                "purpose =",
                "endpoints = [{}]\npurpose =",
                "p: f-1: an endpoint has neither name nor address",
            ),
            ("[[role]]", "[[role]]\nid = \"a\"\nname = \"B\"\n[[role]]", "p: role a stands twice"),
        ] {
            let broken = GOOD.replacen(from, to, 1);
            assert_ne!(broken, GOOD, "{from}");
            assert_eq!(findings(&broken).join("|"), expected);
        }
    }
}
