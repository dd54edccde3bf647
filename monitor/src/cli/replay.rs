//! `replay`: what a capture shows of the expected flows.

use std::{collections::BTreeSet, net::IpAddr, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Format, output};
use crate::{
    config,
    discrepancy::{Assessment, Ledger},
    expect::{Expectation, Names, documented_ports, expectations},
    names::KnownNames,
    observe::Snapshot,
    report::{self, text},
    source::capture::{self, Capture, Hosts, Summary},
};

/// How often what was counted is judged, in the time of the capture.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// Addresses in question that an error names.
const MOST_NAMED: usize = 6;

pub(super) fn run(
    file: &Path,
    config: &Path,
    host: Vec<IpAddr>,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let expectations = expectations(&config::load(config)?);
    let host = match host.as_slice() {
        [] => host_of(file, &expectations)?,
        given => given.iter().copied().collect(),
    };
    let replayed = replay(file, &expectations, host)?;
    let name = file.display().to_string();
    let Replayed { began, snapshot, assessment, .. } = &replayed;
    let report =
        report::build(&name, *began, snapshot, &expectations, assessment, &KnownNames::new());
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::text(&text::render(&report, &TimeZone::system(), output::width()))?,
    }
    warn(&name, &replayed.summary);
    let fine = report.discrepancies().next().is_none() && report.unexpected.is_empty();
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What came of a capture.
struct Replayed {
    began: Timestamp,
    snapshot: Snapshot,
    assessment: Assessment,
    summary: Summary,
}

/// Counts and judges a capture from its first frame to its last.
fn replay(
    file: &Path,
    expectations: &[Expectation],
    host: BTreeSet<IpAddr>,
) -> anyhow::Result<Replayed> {
    struct State {
        capture: Capture,
        ledger: Ledger,
        began: Timestamp,
        judged: Timestamp,
        last: Timestamp,
    }
    let names = Names::new();
    let mut host = Some(host);
    let mut state: Option<State> = None;
    let summary = read(file, |frame| {
        let state = state.get_or_insert_with(|| State {
            capture: Capture::new(
                host.take().unwrap_or_default(),
                documented_ports(expectations),
                frame.at,
            ),
            ledger: Ledger::new(frame.at),
            began: frame.at,
            judged: frame.at,
            last: frame.at,
        });
        // The frames of several interfaces may not be quite in order.
        state.last = state.last.max(frame.at);
        if state.last.duration_since(state.judged) >= STEP {
            state.judged = state.last;
            let snapshot = state.capture.snapshot(state.last);
            state.ledger.assess(&snapshot, expectations, &names);
        }
        state.capture.count(frame);
    })?;
    let Some(mut state) = state else {
        let why = match &summary {
            Summary { fault: Some(fault), .. } => fault.to_string(),
            Summary { untold: 0, .. } => "it is empty".to_owned(),
            Summary { untold, .. } => format!("none of its {untold} frames has a known link layer"),
        };
        bail!("{}: {why}", file.display());
    };
    let snapshot = state.capture.snapshot(state.last);
    let assessment = state.ledger.assess(&snapshot, expectations, &names);
    Ok(Replayed { began: state.began, snapshot, assessment, summary })
}

/// The addresses of the machine that the capture was taken at, as far as its packets tell.
fn host_of(file: &Path, expectations: &[Expectation]) -> anyhow::Result<BTreeSet<IpAddr>> {
    let mut hosts = Hosts::new(documented_ports(expectations));
    read(file, |frame| hosts.note(frame))?;
    hosts.host().map_err(|in_question| {
        let named: Vec<String> =
            in_question.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        anyhow::anyhow!(
            "{}: say which addresses are the host's, such as `--host {}`: no machine has a part in every packet \
             on a documented port, or several have; seen most: {}",
            file.display(),
            named.first().map_or("10.20.0.1", String::as_str),
            named.join(", "),
        )
    })
}

fn read(file: &Path, each: impl FnMut(&capture::Frame<'_>)) -> anyhow::Result<Summary> {
    capture::read(file, each).with_context(|| file.display().to_string())
}

/// Says what of the file is not in the report.
#[expect(clippy::print_stderr, reason = "the report is on standard output")]
fn warn(file: &str, summary: &Summary) {
    if summary.untold > 0 {
        eprintln!(
            "{file}: {} frames left out: their link layer is not known, or they have no time",
            summary.untold
        );
    }
    if let Some(fault) = &summary.fault {
        eprintln!("{file}: {fault}: the report is of what stands before");
    }
}
