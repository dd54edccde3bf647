//! `catalog list`: the flows that fit.

use std::{fmt::Write as _, process::ExitCode, slice};

use anyhow::bail;
use catalog::{Catalog, Flow, Ports, Product, Row};
use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde_json::json;

use super::{Format, output, ports};

/// What a flow has to be to be listed; all of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Filter {
    /// Only this product.
    #[arg(long)]
    product: Option<String>,
    /// Only flows of a machine of this role, of the roles too that it includes.
    #[arg(long)]
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
        output::text(&table(&found, output::width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

type Found<'a> = Vec<(&'a Product, Vec<&'a Flow>)>;

impl Filter {
    /// The flows that fit, by product; products without any are left out.
    fn apply<'a>(&self, catalog: &'a Catalog) -> anyhow::Result<Found<'a>> {
        let wanted = |product: &&Product| self.product.as_ref().is_none_or(|id| *id == product.id);
        let products: Vec<&Product> = catalog.products.iter().filter(wanted).collect();
        if let (Some(id), []) = (&self.product, products.as_slice()) {
            bail!("no product {id}: there is {}", ids(catalog.products.iter().map(|p| &p.id)));
        }
        if let Some(id) = &self.role
            && products.iter().all(|product| product.role(id).is_none())
        {
            let roles = products.iter().flat_map(|product| &product.roles);
            bail!("no role {id}: there is {}", ids(roles.map(|role| &role.id)));
        }
        if let Some(id) = &self.section
            && !products.iter().any(|product| product.sections().any(|section| section == id))
        {
            let sections = products.iter().flat_map(|product| product.sections());
            bail!("no section {id}: there is {}", ids(sections));
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

fn ids<'a, T: AsRef<str> + ?Sized + 'a>(ids: impl Iterator<Item = &'a T>) -> String {
    let ids: Vec<&str> = ids.map(AsRef::as_ref).collect();
    ids.join(", ")
}

/// One block a product. Ids are never broken: they are there to be copied.
fn table(found: &Found<'_>, width: u16) -> String {
    if found.is_empty() {
        return "no flow fits\n".to_owned();
    }
    let mut text = String::new();
    for (product, flows) in found {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(["FLOW", "PORT", "FROM", "TO", "REQUIREMENT"]);
        for flow in flows {
            table.add_row([
                flow.id.clone(),
                ports(flow),
                flow.from.join(" "),
                flow.to.join(" "),
                flow.requirement.to_string(),
            ]);
        }
        let longest = flows.iter().map(|flow| flow.id.len()).max().unwrap_or_default();
        if let (Some(column), Ok(longest)) = (table.column_mut(0), u16::try_from(longest + 2)) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(longest)));
        }
        _ = writeln!(text, "[{}] {}", product.id, product.name);
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}
