//! Judges a capture: once through the file to know whose it is and what its frames are to one another, and
//! once more to count, from the first frame to the last.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    discrepancy::{Assessment, Judgement, Ledger, Verdict},
    expect::{Expectation, Names, documented_ports},
    names::KnownNames,
    observe::Snapshot,
    report::{self, Report},
    source::capture::{self, Capture, Copies, Frame, Hosts, Summary, read_from},
};

/// How often what was counted is judged, in the time of the capture.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// Addresses that a message names.
const MOST_NAMED: usize = 6;

/// Why a capture cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// It cannot be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No frame of it can be judged.
    #[error("{0}")]
    Nothing(String),
    /// The packets do not tell which addresses are the host's. Those in question, most seen first.
    #[error(
        "say which addresses are the host's, such as `--host {}`: no machine has a part in every packet on a \
         documented port, or several have; seen most: {}",
        .0.first().map_or_else(|| "10.20.0.1".to_owned(), ToString::to_string), named(.0)
    )]
    WhoseIsUnclear(Vec<IpAddr>),
}

/// What came of a capture.
#[derive(Debug)]
pub struct Replayed {
    /// When it began.
    pub began: Timestamp,
    /// How many frames there were.
    pub frames: u64,
    /// All that was counted.
    pub snapshot: Snapshot,
    /// What follows.
    pub assessment: Assessment,
    /// What is not in the report, a sentence each.
    pub notes: Vec<String>,
}

/// What is known of a capture before anything is counted.
struct Survey {
    hosts: Hosts,
    copies: Copies,
    frames: u64,
    began: Timestamp,
    summary: Summary,
}

/// Judges a capture that was taken at a host with the given addresses, or whose host is in every packet.
pub fn replay<R: Read + Send>(
    open: impl Fn() -> io::Result<R>,
    expectations: &[Expectation],
    given: &BTreeSet<IpAddr>,
) -> Result<Replayed, Error> {
    let survey = survey(open()?, expectations)?;
    let host = if given.is_empty() {
        survey.hosts.host().map_err(Error::WhoseIsUnclear)?
    } else {
        given.clone()
    };
    let names = Names::new();
    let began = survey.began;
    let mut capture = Capture::new(host, documented_ports(expectations), began);
    let mut ledger = Ledger::new(began);
    let (mut judged, mut last, mut number) = (began, began, 0);
    read_from(open()?, |frame| {
        // What was written to the file since is not known yet.
        if number >= survey.frames {
            return;
        }
        if frame.at.duration_since(judged) >= STEP {
            // As the daemon does it: soon after what happened, however long nothing follows.
            for moment in [last, frame.at] {
                if moment > judged {
                    judged = moment;
                    ledger.assess(&capture.snapshot(moment), expectations, &names);
                }
            }
        }
        // The frames of several interfaces may not be quite in order.
        last = last.max(frame.at);
        if survey.copies.counts(number) {
            capture.count(frame);
        }
        number += 1;
    })?;
    let snapshot = capture.snapshot(last);
    let mut assessment = ledger.assess(&snapshot, expectations, &names);
    leave_out(&mut assessment, &survey.summary);
    let notes = left_out(&survey.summary);
    Ok(Replayed { began, frames: survey.frames, snapshot, assessment, notes })
}

fn survey(file: impl Read + Send, expectations: &[Expectation]) -> Result<Survey, Error> {
    let ports = documented_ports(expectations);
    let mut hosts = Hosts::new(ports);
    let mut copies = Copies::default();
    let (mut began, mut frames) = (None, 0);
    let summary = read_from(file, |frame: &Frame<'_>| {
        began.get_or_insert(frame.at);
        hosts.note(frame);
        copies.note(frames, frame);
        frames += 1;
    })?;
    copies.finish();
    let Some(began) = began else { return Err(Error::Nothing(nothing(&summary))) };
    Ok(Survey { hosts, copies, frames, began, summary })
}

impl Replayed {
    /// The report, under the name of the capture.
    pub fn report(&self, name: &str, expectations: &[Expectation]) -> Report {
        let Self { began, snapshot, assessment, notes, .. } = self;
        let names = KnownNames::new();
        let report = report::build(name, *began, snapshot, expectations, assessment, &names);
        Report { notes: notes.clone(), ..report }
    }
}

/// Answers may be among the frames that are left out, save those that are of something else than IP.
fn leave_out(assessment: &mut Assessment, summary: &Summary) {
    let frames = summary.without_time + summary.without_interface;
    for judgement in assessment.judgements.iter_mut().flatten().filter(|_| frames > 0) {
        if judgement.verdict != Verdict::Ok {
            become_unknown(judgement, format!("{frames} frames of the capture are left out"));
        }
    }
}

fn become_unknown(judgement: &mut Judgement, reason: String) {
    (judgement.verdict, judgement.cause) = (Verdict::Unknown, None);
    judgement.reason = Some(reason);
    judgement.failing.clear();
    judgement.failing_total = 0;
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

fn named(addresses: &[IpAddr]) -> String {
    let named: Vec<String> = addresses.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    named.join(", ")
}
