//! What is wrong with the data, beyond its syntax.

mod names;
mod references;
mod sense;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use crate::{Fact, Flow, Product, facts};

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

/// Everything that is wrong with some products, in their order.
pub(crate) fn all(products: &[Product]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for product in products {
        let mut found = |message| findings.push(of_product(product, message));
        names::across(product, &mut seen, &mut found);
        names::within(product, &mut found);
        names::sections(product, &mut found);
        for flow in &product.flows {
            let mut found = |message| findings.push(of_flow(product, flow, message));
            references::check(product, flow, &mut found);
            sense::check(flow, &mut found);
        }
        findings.extend(repeated(product));
    }
    findings
}

fn of_product(product: &Product, message: String) -> Finding {
    Finding { product: product.id.clone(), flow: None, message }
}

fn of_flow(product: &Product, flow: &Flow, message: String) -> Finding {
    Finding { product: product.id.clone(), flow: Some(flow.id.clone()), message }
}

/// A fact belongs to one flow, whose sources may say it of both directions.
fn repeated(product: &Product) -> Vec<Finding> {
    let mut seen: BTreeMap<Fact, &str> = BTreeMap::new();
    let mut findings: Vec<Finding> = Vec::new();
    for (flow, fact) in facts::of_product(product) {
        let place = format!("{} of {}", fact.section, fact.document);
        let first = *seen.entry(fact).or_insert(&flow.id);
        let finding = of_flow(product, flow, format!("{place} says what {first} says"));
        if first != flow.id && !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}
