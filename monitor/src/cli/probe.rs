//! `probe`: each outbound expectation tried once, now.

use std::{path::Path, process::ExitCode, thread, time::Duration};

use comfy_table::{ContentArrangement, Table, presets};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{net::lookup_host, time::timeout};

use super::{Format, client::Client, output};
use crate::{
    config::{self, Config},
    discrepancy::Cause,
    expect::{Expectation, expectations},
    observe::{Side, side_name},
    probe::{self, AT_ONCE, Addresses},
    report::{self, Probe, ProbeResult, Report},
};

/// Version of the JSON answer's layout.
const SCHEMA: u32 = 1;

/// How many times, a second apart, the running daemon is asked why something failed: it waits for an
/// answer for some seconds itself.
const JUDGED_AFTER: u32 = 6;

/// How long a name may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// The JSON answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    probes: &'a [Told],
}

/// An attempt, and why it failed.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    probe: Probe,
    /// Until the result.
    milliseconds: Option<u64>,
    /// Where the running daemon saw it.
    cause: Option<Cause>,
}

impl Told {
    fn new(probe: Probe) -> Self {
        let took = probe.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let milliseconds = took.and_then(|took| u64::try_from(took.as_millis()).ok());
        Self { probe, milliseconds, cause: None }
    }
}

/// Tries everything, and prints what came of it. With a failure the code is 1.
pub(super) fn run(config: &Path, patience: Duration, format: Format) -> anyhow::Result<ExitCode> {
    let config = config::load(config)?;
    let expectations = expectations(&config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let probes = runtime.block_on(probe_all(&expectations, patience));
    let mut probes: Vec<Told> = probes.into_iter().map(Told::new).collect();
    name_causes(&config, &mut probes);
    match format {
        Format::Json => output::json(&Answer { schema: SCHEMA, probes: &probes })?,
        Format::Text => output::text(&text(&probes))?,
    }
    let failed = probes.iter().any(|told| told.probe.result.is_failure());
    Ok(ExitCode::from(u8::from(failed)))
}

async fn probe_all(expectations: &[Expectation], patience: Duration) -> Vec<Probe> {
    let lookups = probe::names(expectations).into_iter().map(look_up);
    let names: Addresses = stream::iter(lookups).buffer_unordered(AT_ONCE).collect().await;
    probe::attempt(probe::plan(expectations, &names), patience, None).await
}

/// The addresses of a name, as the host's other programs find them.
async fn look_up(name: &str) -> (String, Result<Vec<std::net::IpAddr>, String>) {
    let found = match timeout(LOOKUP, lookup_host((name, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(format!("the name is not resolved: {error}")),
        Err(_) => Err(format!("the name is not resolved in {LOOKUP:?}")),
    };
    (name.to_owned(), found)
}

/// Waits until the running daemon has judged the failures, and adopts what it says. Without one
/// there are no causes.
fn name_causes(config: &Config, probes: &mut [Told]) {
    for _ in 0..JUDGED_AFTER {
        let mut open = probes.iter_mut().filter(|told| {
            let Probe { result, address, .. } = &told.probe;
            result.is_failure() && address.is_some() && told.cause.is_none()
        });
        let Some(first) = open.next() else { return };
        let Ok(report) = Client::with(config).report() else { return };
        for told in std::iter::once(first).chain(open) {
            told.cause = cause(&report, &told.probe);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn cause(report: &Report, probe: &Probe) -> Option<Cause> {
    let is_same = |other: &&report::Expectation| {
        (&other.system, &other.flow, &other.peer_group)
            == (&probe.system, &probe.flow, &probe.peer_group)
            && other.side == side_name(Side::Client)
    };
    let address = probe.address?;
    let failing = &report.expectations.iter().find(is_same)?.evidence.failing;
    let of_it = failing.iter().find(|failing| {
        failing.port == address.port() && failing.address == address.ip().to_string()
    });
    of_it.map(|failing| failing.cause)
}

fn text(probes: &[Told]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["SYSTEM", "FLOW", "PEER", "ADDRESS", "RESULT", ""]);
    for Told { probe, milliseconds, cause } in probes {
        let took = milliseconds.map(|took| format!("in {took} ms"));
        table.add_row([
            probe.system.clone(),
            probe.flow.clone(),
            probe.peer.clone().unwrap_or_else(|| probe.peer_group.clone()),
            probe.address.map_or("-".to_owned(), |address| address.to_string()),
            probe.result.name().to_owned(),
            match cause {
                Some(cause) => format!("{cause}: {}", cause.advice()),
                None => probe.detail.clone().or(took).unwrap_or_default(),
            },
        ]);
    }
    let count =
        |is: fn(ProbeResult) -> bool| probes.iter().filter(|told| is(told.probe.result)).count();
    let (failed, fine) =
        (count(ProbeResult::is_failure), count(|result| result == ProbeResult::Connected));
    let not_tried = probes.len() - failed - fine;
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n\n{fine} connected, {failed} failed, {not_tried} not tried\n", lines.join("\n"))
}
