//! `catalog`: the documented flows.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::bail;
use catalog::{Fact, Flow, Product};
use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::{Format, Output, export, output};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List every documented flow.
    List {
        /// Only this product.
        #[arg(long)]
        product: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show all that is known of a flow, and where the documents say so.
    Show {
        /// Id of the flow, or `product/flow`.
        flow: String,
        #[command(flatten)]
        output: Output,
    },
    /// Print one line for each document, pair of roles, transport and port, as tab-separated values.
    Facts,
    /// Print the firewall rules that open exactly what this host's roles need.
    Export(export::Export),
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { product, output } => list(product.as_deref(), output.format),
        Command::Show { flow, output } => show(&flow, output.format),
        Command::Facts => facts(),
        Command::Export(export) => export::run(&export),
    }
}

fn list(product: Option<&str>, format: Format) -> anyhow::Result<ExitCode> {
    let products: Vec<&Product> = match product {
        None => catalog::bundled().products.iter().collect(),
        Some(id) => {
            if let Some(product) = catalog::bundled().product(id) {
                vec![product]
            } else {
                let known: Vec<&str> =
                    catalog::bundled().products.iter().map(|product| product.id.as_str()).collect();
                bail!("no product {id}: there is {}", known.join(", "));
            }
        }
    };
    if format == Format::Json {
        output::json(&json!({"schema": 1, "products": products}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(output::width())
        .set_header(["PRODUCT", "FLOW", "FROM", "TO", "PORT", "REQUIREMENT", "PURPOSE"]);
    for product in products {
        for flow in &product.flows {
            table.add_row([
                product.id.clone(),
                flow.id.clone(),
                flow.from.join(", "),
                flow.to.join(", "),
                ports(flow),
                flow.requirement.to_string(),
                flow.purpose.clone(),
            ]);
        }
    }
    output::text(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn ports(flow: &Flow) -> String {
    let ports: Vec<String> = flow.ports.iter().map(ToString::to_string).collect();
    let transports: Vec<String> = flow.transport.iter().map(ToString::to_string).collect();
    format!("{}/{}", ports.join(","), transports.join(","))
}

fn show(wanted: &str, format: Format) -> anyhow::Result<ExitCode> {
    let (product, id) = wanted.split_once('/').map_or((None, wanted), |(p, f)| (Some(p), f));
    let found: Vec<(&Product, &Flow)> = catalog::bundled()
        .products
        .iter()
        .filter(|candidate| product.is_none_or(|product| product == candidate.id))
        .filter_map(|product| Some((product, product.flow(id)?)))
        .collect();
    if found.is_empty() {
        bail!("no flow {wanted}: `backupflow catalog list` shows all");
    }
    if format == Format::Json {
        let flows: Vec<_> = found
            .iter()
            .map(|(product, flow)| json!({"product": product.id, "flow": flow}))
            .collect();
        output::json(&json!({"schema": 1, "flows": flows}))?;
    } else {
        let texts: Vec<String> =
            found.iter().map(|(product, flow)| describe(product, flow)).collect();
        output::text(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(product: &Product, flow: &Flow) -> String {
    let mut text = format!("{}/{}\n", product.id, flow.id);
    let mut line = |name: &str, value: &str| _ = writeln!(text, "  {name:<13}{value}");
    line("what", &flow.purpose);
    line("from", &flow.from.join(", "));
    line("to", &flow.to.join(", "));
    line("port", &ports(flow));
    line("requirement", &flow.requirement.to_string());
    let sayings = [
        ("only if", flow.condition.clone()),
        ("without it", flow.without.clone()),
        ("since", flow.since.as_ref().map(|version| format!("version {version}"))),
        (
            "replaces",
            flow.replaces
                .as_ref()
                .map(|other| format!("{}, with the option {}", other.flow, other.option)),
        ),
        (
            "port set by",
            flow.changeable.as_ref().map(|changeable| {
                let both =
                    if changeable.same_at_both_ends { ", the same at both ends" } else { "" };
                format!("{}{both}", changeable.setting)
            }),
        ),
    ];
    for (name, saying) in sayings {
        if let Some(saying) = saying {
            line(name, &saying);
        }
    }
    let rules = [
        (flow.every_member, "every machine of the role has to be reachable, not just any"),
        (flow.same_host, "it never leaves the machine"),
        (flow.both_ways, "the port is open at both ends"),
        (!flow.firewall, "no firewall needs a rule for it"),
        (flow.no_tls_inspection, "nothing on the way may open TLS"),
        (flow.by_name, "address the peer by its name"),
    ];
    for (holds, rule) in rules {
        if holds {
            line("rule", rule);
        }
    }
    if !flow.scenarios.is_empty() {
        line("scenarios", &flow.scenarios.join(", "));
    }
    for endpoint in &flow.endpoints {
        let addresses: Vec<String> = endpoint.addresses.iter().map(ToString::to_string).collect();
        let name = endpoint.name.as_deref().unwrap_or_default();
        line("endpoint", format!("{name} {}", addresses.join(" ")).trim());
    }
    for source in &flow.sources {
        let title = product.document(&source.document).map_or("", |document| &document.title);
        line("source", &format!("{}, section {} ({title})", source.document, source.section));
        if let Some(doubt) = &source.doubt {
            line("doubt", doubt);
        }
        if let Some(reading) = &source.reading {
            line("reading", reading);
        }
    }
    text
}

fn facts() -> anyhow::Result<ExitCode> {
    let mut text = format!("{}\n", Fact::HEADER);
    for fact in catalog::bundled().facts() {
        _ = writeln!(text, "{fact}");
    }
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
