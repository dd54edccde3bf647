//! `status`: what the running daemon says.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;

use super::{Format, output};
use crate::{
    config::{self, Config},
    report::{Report, text},
};

/// How long the daemon may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A report is never larger than this.
const MOST_BYTES: u64 = 64 << 20;

pub(super) fn run(config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let report = ask(&config::load(config)?)?;
    match format {
        Format::Json => output::text(&format!("{}\n", serde_json::to_string(&report)?))?,
        Format::Text => {
            output::text(&text::render(&report, &TimeZone::system(), output::width()))?;
        }
    }
    let fine = report.discrepancies().next().is_none() && report.unexpected.is_empty();
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The latest report of the running daemon.
pub(super) fn ask(config: &Config) -> anyhow::Result<Report> {
    let listen = config.web.listen;
    let url = format!("http://{listen}/api/v1/report");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let mut response = agent.get(&url).call().with_context(|| {
        format!("no daemon answers at {listen}: is backupflow.service running?")
    })?;
    let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_string()?;
    if response.status() != 200 {
        bail!("the daemon at {listen} answers: {}", body.trim());
    }
    serde_json::from_str(&body)
        .with_context(|| format!("what answers at {listen} is not backupflow of this version"))
}
