//! `status`: what the running daemon says.

use std::{path::Path, process::ExitCode};

use jiff::tz::TimeZone;

use super::{Format, client::Client, output};
use crate::report::text;

pub(super) fn run(config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let report = Client::of(config).report()?;
    match format {
        Format::Json => output::text(&format!("{}\n", serde_json::to_string(&report)?))?,
        Format::Text => {
            output::text(&text::render(&report, &TimeZone::system(), output::width()))?;
        }
    }
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
