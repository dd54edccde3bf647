//! `catalog`: the documented flows.

mod export;
mod ids;
mod list;
mod roles;
mod show;
mod table;

use std::{fmt::Write as _, process::ExitCode};

use catalog::{Fact, Flow, Product};
use clap::Subcommand;
use serde_json::json;

use super::{Format, Output, output};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the documented flows, all of them or those that fit.
    List {
        #[command(flatten)]
        filter: list::Filter,
        #[command(flatten)]
        output: Output,
    },
    /// List the roles that a machine can have, and what each of them is.
    Roles {
        /// Only this product.
        #[arg(long, value_parser = ids::PRODUCTS, hide_possible_values = true)]
        product: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show all that is known of a flow, and where the documents say so.
    Show {
        /// Id of the flow, or `product/flow`; `*` stands for any text.
        #[arg(value_parser = ids::FLOWS, hide_possible_values = true)]
        flow: String,
        #[command(flatten)]
        output: Output,
    },
    /// Say what is wrong with the data that is built in: exit code 1 if anything is.
    Lint {
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
        Command::List { filter, output } => list::run(&filter, output.format),
        Command::Roles { product, output } => roles::run(product.as_deref(), output.format),
        Command::Show { flow, output } => show::run(&flow, output.format),
        Command::Lint { output } => lint(output.format),
        Command::Facts => facts(),
        Command::Export(export) => export::run(&export),
    }
}

/// Ports and transports, as in `135-139,445/tcp,udp`.
fn ports(flow: &Flow) -> String {
    let ports: Vec<String> = flow.ports.iter().map(ToString::to_string).collect();
    let transports: Vec<String> = flow.transport.iter().map(ToString::to_string).collect();
    format!("{}/{}", ports.join(","), transports.join(","))
}

fn lint(format: Format) -> anyhow::Result<ExitCode> {
    let catalog = catalog::bundled();
    let findings = catalog.lint();
    if format == Format::Json {
        let findings: Vec<_> = findings
            .iter()
            .map(|f| json!({"product": f.product, "flow": f.flow, "message": f.message}))
            .collect();
        let ok = findings.is_empty();
        output::json(&json!({"schema": 1, "ok": ok, "findings": findings}))?;
    } else {
        let lines: Vec<String> = findings.iter().map(|finding| format!("{finding}\n")).collect();
        let flows: usize = catalog.products.iter().map(|product| product.flows.len()).sum();
        let sections: usize = catalog.products.iter().map(sections).sum();
        output::text(&format!(
            "{}{} products, {flows} flows from {sections} sections of documents: {} findings\n",
            lines.concat(),
            catalog.products.len(),
            findings.len(),
        ))?;
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

fn sections(product: &Product) -> usize {
    product.documents.iter().map(|document| document.sections.len()).sum()
}

fn facts() -> anyhow::Result<ExitCode> {
    let mut text = format!("{}\n", Fact::HEADER);
    for fact in catalog::bundled().facts() {
        _ = writeln!(text, "{fact}");
    }
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
