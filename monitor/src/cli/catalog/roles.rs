//! `catalog roles`: what a machine can be.

use std::process::ExitCode;

use catalog::{Product, Role};
use serde_json::json;

use super::{Format, ids, output, table};

pub(super) fn run(product: Option<&str>, format: Format) -> anyhow::Result<ExitCode> {
    let products = ids::products(catalog::bundled(), product)?;
    if format == Format::Json {
        let products: Vec<_> = products
            .iter()
            .map(|Product { id, name, roles, .. }| json!({"id": id, "name": name, "roles": roles}))
            .collect();
        output::json(&json!({"schema": 1, "products": products}))?;
    } else {
        let width = output::width();
        let blocks: Vec<String> = products
            .iter()
            .map(|product| {
                let rows = product.roles.iter().map(row);
                table::block(product, ["ROLE", "WHAT IT IS", "INCLUDES"], rows, width)
            })
            .collect();
        output::text(&blocks.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(Role { id, name, same_as, includes, .. }: &Role) -> [String; 3] {
    let other_name = same_as.as_ref().map(|role| format!(" (another name of {role})"));
    [id.clone(), format!("{name}{}", other_name.unwrap_or_default()), includes.join(" ")]
}
