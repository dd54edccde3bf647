//! `replay`: what a capture shows of the expected flows.

use std::{collections::BTreeSet, fs::File, net::IpAddr, path::Path, process::ExitCode};

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
    let (hosts, began) = survey(file, &expectations)?;
    let host = match host.as_slice() {
        [] => hosts.host().map_err(|in_question| not_told(file, &in_question))?,
        given => given.iter().copied().collect(),
    };
    let replayed = replay(file, &expectations, host, began)?;
    let name = file.display().to_string();
    let Replayed { snapshot, assessment, .. } = &replayed;
    let report =
        report::build(&name, began, snapshot, &expectations, assessment, &KnownNames::new());
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::text(&text::render(&report, &TimeZone::system(), output::width()))?,
    }
    warn(&name, &replayed.summary);
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The machines of a capture, and when it began.
fn survey(file: &Path, expectations: &[Expectation]) -> anyhow::Result<(Hosts, Timestamp)> {
    let mut hosts = Hosts::new(documented_ports(expectations));
    let mut began = None;
    let summary = read(file, |frame| {
        began.get_or_insert(frame.at);
        hosts.note(frame);
    })?;
    let Some(began) = began else {
        bail!("{}: {}", file.display(), nothing(&summary));
    };
    Ok((hosts, began))
}

/// What came of a capture.
struct Replayed {
    snapshot: Snapshot,
    assessment: Assessment,
    summary: Summary,
}

/// Counts and judges a capture from its first frame to its last.
fn replay(
    file: &Path,
    expectations: &[Expectation],
    host: BTreeSet<IpAddr>,
    began: Timestamp,
) -> anyhow::Result<Replayed> {
    let names = Names::new();
    let mut capture = Capture::new(host, documented_ports(expectations), began);
    let mut ledger = Ledger::new(began);
    let (mut judged, mut last) = (began, began);
    let summary = read(file, |frame| {
        // The frames of several interfaces may not be quite in order.
        last = last.max(frame.at);
        if last.duration_since(judged) >= STEP {
            judged = last;
            ledger.assess(&capture.snapshot(last), expectations, &names);
        }
        capture.count(frame);
    })?;
    let snapshot = capture.snapshot(last);
    let assessment = ledger.assess(&snapshot, expectations, &names);
    Ok(Replayed { snapshot, assessment, summary })
}

/// The packets do not tell which addresses are those of the machine that the capture was taken at.
fn not_told(file: &Path, in_question: &[IpAddr]) -> anyhow::Error {
    let named: Vec<String> = in_question.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    anyhow::anyhow!(
        "{}: say which addresses are the host's, such as `--host {}`: no machine has a part in every packet \
         on a documented port, or several have; seen most: {}",
        file.display(),
        named.first().map_or("10.20.0.1", String::as_str),
        named.join(", "),
    )
}

fn read(file: &Path, each: impl FnMut(&capture::Frame<'_>)) -> anyhow::Result<Summary> {
    let open = File::open(file).with_context(|| file.display().to_string())?;
    capture::read_from(open, each).with_context(|| file.display().to_string())
}

/// Why a capture has nothing to judge.
fn nothing(summary: &Summary) -> String {
    let left = left_out(summary);
    if left.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("nothing can be judged: {}", left.join("; "))
    }
}

/// What of a capture is not in the report.
fn left_out(summary: &Summary) -> Vec<String> {
    let Summary { unknown_link, without_time, without_interface, not_captured, fault } = summary;
    let counted = [
        (*unknown_link, "frames left out: their link layer is not known"),
        (
            *without_time,
            "frames left out: they have no time (Simple Packet Blocks), which a verdict needs",
        ),
        (*without_interface, "frames left out: the file does not describe their interface"),
        (
            *not_captured,
            "packets are not in the file: the capturing program counted them as dropped",
        ),
    ];
    let counted = counted.into_iter().filter(|(frames, _)| *frames > 0);
    let counted = counted.map(|(frames, what)| format!("{frames} {what}"));
    let fault = fault.iter().map(|fault| format!("{fault}: the report is of what stands before"));
    counted.chain(fault).collect()
}

/// Says what of the file is not in the report.
#[expect(clippy::print_stderr, reason = "the report is on standard output")]
fn warn(file: &str, summary: &Summary) {
    for left in left_out(summary) {
        eprintln!("{file}: {left}");
    }
}
