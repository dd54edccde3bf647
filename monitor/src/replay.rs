//! Judges a capture: once through the file to know whose it is and what its frames are to one another, and
//! once more to count, from the first frame to the last.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    discrepancy::{Assessment, Judgement, Ledger, Verdict},
    expect::{Expectation, Matcher, Names, documented_ports},
    names::KnownNames,
    observe::{FlowId, Snapshot},
    report::{self, Report},
    source::capture::{
        self, Capture, Conversations, Copies, Frame, Hosts, Placed, Summary, read_from,
    },
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
    /// The given addresses have no part in it, and others do what the host would.
    #[error(
        "no packet on a documented port is from or to the addresses that `--host` gives; {} talk with the \
         declared peers: if they are the host's, give them",
        named(.0)
    )]
    AnotherHost(Vec<IpAddr>),
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
    /// Addresses that seem to be the host's, and were not given.
    pub missing: Vec<IpAddr>,
}

/// What is known of a capture before anything is counted.
struct Survey {
    hosts: Hosts,
    conversations: Conversations,
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
    let missing = survey.conversations.missing(&host, expectations);
    let has_part = survey.conversations.has_part(&host);
    let addresses: Vec<IpAddr> = missing.keys().copied().collect();
    if !has_part && !missing.is_empty() {
        return Err(Error::AnotherHost(addresses));
    }
    let Placed { open: begun, unclear } = survey.conversations.placed(&host, expectations);

    let names = Names::new();
    let began = survey.began;
    let mut capture = Capture::new(host, documented_ports(expectations), began, begun.clone());
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
    let mut lacks = Lacks {
        expectations,
        matcher: Matcher::new(expectations, &names),
        assessment: &mut assessment,
    };
    lacks.openings(&begun, &unclear, &snapshot);
    lacks.frames(&survey.summary);
    for (address, flows) in &missing {
        lacks.address(*address, flows);
    }
    let mut notes = left_out(&survey.summary);
    notes.extend(says_missing(&missing));
    if !given.is_empty() && !has_part {
        notes.push(
            "no packet on a documented port is from or to the addresses that `--host` gives"
                .to_owned(),
        );
    }
    let frames = survey.frames;
    Ok(Replayed { began, frames, snapshot, assessment, notes, missing: addresses })
}

fn survey(file: impl Read + Send, expectations: &[Expectation]) -> Result<Survey, Error> {
    let ports = documented_ports(expectations);
    let mut hosts = Hosts::new(ports.clone());
    let mut conversations = Conversations::new(ports);
    let mut copies = Copies::default();
    let (mut began, mut frames) = (None, 0);
    let summary = read_from(file, |frame: &Frame<'_>| {
        began.get_or_insert(frame.at);
        hosts.note(frame);
        conversations.note(frame);
        copies.note(frames, frame);
        frames += 1;
    })?;
    copies.finish();
    let Some(began) = began else { return Err(Error::Nothing(nothing(&summary))) };
    Ok(Survey { hosts, conversations, copies, frames, began, summary })
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

/// What the capture lacks turns verdicts that rest on it into `unknown`.
struct Lacks<'a> {
    expectations: &'a [Expectation],
    matcher: Matcher<'a>,
    assessment: &'a mut Assessment,
}

impl Lacks<'_> {
    /// The capture begins in the middle of connections.
    fn openings(
        &mut self,
        begun: &BTreeSet<FlowId>,
        unclear: &BTreeMap<FlowId, u64>,
        snapshot: &Snapshot,
    ) {
        let is_silent =
            |verdict| matches!(verdict, Verdict::Idle | Verdict::Missing | Verdict::Unknown);
        for flow in begun.iter().filter(|flow| snapshot.flows.get(**flow).is_some()) {
            let reason = "the capture begins in the middle of its connections, and shows neither their \
                          opening nor packets both ways";
            self.doubt(flow, reason, is_silent);
        }
        for (flow, packets) in unclear {
            let reason = format!(
                "the capture begins in the middle of connections: {packets} packets do not say which end is the service"
            );
            self.doubt(flow, &reason, is_silent);
        }
    }

    /// Answers may be among the frames that are left out, save those that are of something else than IP.
    fn frames(&mut self, summary: &Summary) {
        let frames = summary.without_time + summary.without_interface;
        let judgements = self.assessment.judgements.iter_mut().flatten();
        for judgement in judgements.filter(|_| frames > 0) {
            if judgement.verdict != Verdict::Ok {
                let reason = format!("{frames} frames of the capture are left out");
                become_unknown(judgement, reason);
            }
        }
    }

    /// An address that seems to be the host's was not given.
    fn address(&mut self, address: IpAddr, flows: &BTreeMap<FlowId, u64>) {
        for (flow, packets) in flows {
            let reason = format!(
                "{packets} packets of it are from or to {address}, which `--host` does not give"
            );
            self.doubt(flow, &reason, |verdict| !verdict.is_discrepancy());
        }
    }

    /// Nothing more than `unknown` can be said of a flow where a verdict rests on what is lacking.
    fn doubt(&mut self, flow: &FlowId, reason: &str, rests: impl Fn(Verdict) -> bool) {
        let groups: BTreeSet<usize> =
            capture::expected(&self.matcher, flow).iter().map(|found| found.expectation).collect();
        for index in
            (0..self.expectations.len()).filter(|i| groups.contains(&self.matcher.group(*i)))
        {
            let judgement = self.assessment.judgements.get_mut(index).and_then(Option::as_mut);
            if let Some(judgement) = judgement.filter(|judgement| rests(judgement.verdict)) {
                become_unknown(judgement, reason.to_owned());
            }
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

fn says_missing(missing: &BTreeMap<IpAddr, BTreeMap<FlowId, u64>>) -> Option<String> {
    let addresses: Vec<IpAddr> = missing.keys().copied().collect();
    let packets: u64 = missing.values().flat_map(BTreeMap::values).sum();
    (packets > 0).then(|| {
        format!(
            "{packets} packets on documented ports are between declared peers and {}, which `--host` does not \
             give: if they are the host's, give them too",
            named(&addresses),
        )
    })
}

fn named(addresses: &[IpAddr]) -> String {
    let named: Vec<String> = addresses.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    named.join(", ")
}
