//! `replay`: what a capture shows of the expected flows.

use std::{fs::File, net::IpAddr, path::Path, process::ExitCode};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::{Format, output};
use crate::{config, expect::expectations, replay::replay, report::text};

#[expect(clippy::print_stderr, reason = "the report is on standard output")]
pub(super) fn run(
    file: &Path,
    config: &Path,
    host: Vec<IpAddr>,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let expectations = expectations(&config::load(config)?);
    let name = file.display().to_string();
    let given = host.into_iter().map(|address| address.to_canonical()).collect();
    let replayed =
        replay(|| File::open(file), &expectations, &given).with_context(|| name.clone())?;
    let report = replayed.report(&name, &expectations);
    match format {
        Format::Json => {
            output::json(&report)?;
            for note in &replayed.notes {
                eprintln!("{name}: {note}");
            }
        }
        Format::Text => output::text(&text::render(&report, &TimeZone::system(), output::width()))?,
    }
    let is_fine = report.is_fine() && replayed.missing.is_empty();
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
