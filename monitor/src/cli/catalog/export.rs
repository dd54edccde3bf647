//! `backupflow catalog export`: the firewall rules that the host's roles need.

use std::process::ExitCode;

use clap::{CommandFactory as _, ValueEnum, error::ErrorKind};

use crate::{
    cli::{Arguments, ConfigFile, check, output},
    config,
    export::{self, Form, Plan},
};

/// What is printed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    config: ConfigFile,
    /// The form of the rules.
    #[arg(long, value_enum)]
    format: Format,
    /// For nftables: the table of the inet family that the chains are for [default: filter].
    #[arg(long, value_name = "NAME", conflicts_with = "standalone", value_parser = table)]
    table: Option<String>,
    /// For nftables: a whole ruleset, which drops everything else.
    #[arg(long)]
    standalone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Chains for nftables.
    Nftables,
    /// A script that writes policies of firewalld.
    Firewalld,
    /// For programs.
    Json,
    /// A request to those who keep the firewall.
    Markdown,
}

/// Prints the rules, or the faults of the config.
pub(super) fn run(export: &Export) -> anyhow::Result<ExitCode> {
    if export.format != Format::Nftables && (export.standalone || export.table.is_some()) {
        let message = "--table and --standalone are for --format nftables";
        Arguments::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let path = &export.config.config;
    let config = match config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            check::complain(&path.display().to_string(), &faults)?;
            return Ok(ExitCode::from(1));
        }
    };
    let plan = Plan::new(&config);
    let form = if export.standalone {
        Form::Standalone
    } else {
        Form::Chains { table: export.table.as_deref().unwrap_or("filter") }
    };
    match export.format {
        Format::Nftables => output::text(&export::nftables(&plan, form))?,
        Format::Firewalld => output::text(&export::firewalld(&plan))?,
        Format::Json => output::json(&export::json(&plan))?,
        Format::Markdown => output::text(&export::markdown(&plan))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A name that nft takes for one.
fn table(text: &str) -> Result<String, &'static str> {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if is_name { Ok(text.to_owned()) } else { Err("a letter, then letters, digits, `_`, `-`, `.`") }
}
