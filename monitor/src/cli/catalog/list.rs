//! `catalog list`: the flows that fit.

use std::{process::ExitCode, slice};

use catalog::{Catalog, Flow, Ports, Product, Row};
use clap::Args;
use serde_json::json;

use super::{Format, ids, output, ports, table};

/// What a flow has to be to be listed; all of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Filter {
    /// Only this product.
    #[arg(long, value_parser = ids::PRODUCTS, hide_possible_values = true)]
    product: Option<String>,
    /// Only flows of a machine of this role, of the roles too that it includes.
    #[arg(long, value_parser = ids::ROLES, hide_possible_values = true)]
    role: Option<String>,
    /// Only flows to this port.
    #[arg(long)]
    port: Option<u16>,
    /// Only flows of this section of a document.
    #[arg(long)]
    section: Option<String>,
}

pub(super) fn run(filter: &Filter, format: Format) -> anyhow::Result<ExitCode> {
    let found = filter.apply(catalog::bundled())?;
    if format == Format::Json {
        let products: Vec<_> = found
            .iter()
            .map(|(product, flows)| {
                let mut product = (*product).clone();
                product.flows = flows.iter().map(|flow| (*flow).clone()).collect();
                product
            })
            .collect();
        output::json(&json!({"schema": 1, "products": products}))?;
    } else {
        output::text(&blocks(&found, output::width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

type Found<'a> = Vec<(&'a Product, Vec<&'a Flow>)>;

impl Filter {
    /// The flows that fit, by product; products without any are left out.
    fn apply<'a>(&self, catalog: &'a Catalog) -> anyhow::Result<Found<'a>> {
        let products = ids::products(catalog, self.product.as_deref())?;
        if let Some(id) = &self.role
            && products.iter().all(|product| product.role(id).is_none())
        {
            let roles = products.iter().flat_map(|product| &product.roles);
            return Err(ids::unknown("role", id, roles.map(|role| role.id.as_str())));
        }
        if let Some(id) = &self.section
            && !products.iter().any(|product| product.sections().any(|section| section == id))
        {
            let sections = products.iter().flat_map(|product| product.sections());
            return Err(ids::unknown("section", id, sections));
        }
        let fitting = products.into_iter().map(|product| {
            let flows = product.flows.iter().filter(|flow| self.fits(product, flow));
            (product, flows.collect())
        });
        Ok(fitting.filter(|(_, flows): &(_, Vec<_>)| !flows.is_empty()).collect())
    }

    fn fits(&self, product: &Product, flow: &Flow) -> bool {
        let scope = catalog::Scope {
            sections: self.section.as_slice(),
            scenario: None,
            options: slice::from_ref(flow.option.as_ref().unwrap_or(&flow.id)),
        };
        product.rows_in(flow, scope).any(|row| self.fits_row(product, row))
    }

    fn fits_row(&self, product: &Product, row: Row<'_>) -> bool {
        let plays = |wanted: &String| {
            let roles = product.with_included(slice::from_ref(wanted));
            row.from.iter().chain(row.to).any(|role| roles.contains(role.as_str()))
        };
        let has_port = |port: u16| {
            row.ports.iter().any(
                |ports| matches!(ports, Ports::Range { first, last } if (*first..=*last).contains(&port)),
            )
        };
        self.role.as_ref().is_none_or(plays) && self.port.is_none_or(has_port)
    }
}

fn blocks(found: &Found<'_>, width: u16) -> String {
    if found.is_empty() {
        return "no flow fits\n".to_owned();
    }
    let header = ["FLOW", "PORT", "FROM", "TO", "REQUIREMENT"];
    let row = |flow: &&Flow| {
        let (from, to) = (flow.from.join(" "), flow.to.join(" "));
        [flow.id.clone(), ports(flow), from, to, flow.requirement.to_string()]
    };
    let mut text = String::new();
    for (product, flows) in found {
        text.push_str(&table::block(product, header, flows.iter().map(row), width));
        text.push('\n');
    }
    text
}
