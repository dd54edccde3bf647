//! A capture file, as `replay` counts and judges it.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use monitor::{
    config,
    discrepancy::Ledger,
    expect::{Expectation, Names, documented_ports, expectations},
    names::KnownNames,
    report::{self, text},
    source::capture::{Capture, Hosts, read_from},
};

/// Judgements of one file: hostile times could ask for any number.
const MOST_JUDGED: u32 = 16;

static EXPECTATIONS: LazyLock<Vec<Expectation>> = LazyLock::new(|| {
    let text = include_str!("../../../hosts/mssql-server.toml");
    expectations(&config::parse("mssql-server.toml", text).unwrap())
});

/// Takes a capture file.
pub fn capture(bytes: &[u8]) {
    let expectations = EXPECTATIONS.as_slice();
    let ports = documented_ports(expectations);
    let (mut hosts, mut frames, mut first) = (Hosts::new(ports.clone()), 0, None);
    let noted = read_from(bytes, |frame| {
        first.get_or_insert(frame.at);
        frames += 1;
        hosts.note(frame);
    });
    let (Ok(_), Some(began)) = (noted, first) else { return };
    let host = hosts.host().unwrap_or_else(|some| some.into_iter().take(2).collect());

    let names = Names::new();
    let mut capture = Capture::new(host, ports, began);
    let mut ledger = Ledger::new(began);
    let (mut last, mut judged, mut judgements) = (began, began, 0);
    let read = read_from(bytes, |frame| {
        last = last.max(frame.at);
        if last.duration_since(judged) >= SignedDuration::from_secs(1) && judgements < MOST_JUDGED {
            (judged, judgements) = (last, judgements + 1);
            ledger.assess(&capture.snapshot(last), expectations, &names);
        }
        capture.count(frame);
    });
    assert!(read.is_ok(), "the second reading differs");
    conclude(&capture, &mut ledger, began, last, frames);
}

/// Each frame is counted at most once, and the report can be written.
fn conclude(
    capture: &Capture,
    ledger: &mut Ledger,
    began: Timestamp,
    last: Timestamp,
    frames: u64,
) {
    let snapshot = capture.snapshot(last);
    let flows = snapshot.flows.wire();
    let of_flows = flows.map(|(_, wire)| wire.received.packets + wire.transmitted.packets);
    let counted = of_flows.sum::<u64>() + snapshot.lost.values().sum::<u64>();
    assert!(counted <= frames, "{counted} of {frames} frames");
    let assessment = ledger.assess(&snapshot, &EXPECTATIONS, &Names::new());
    let names = KnownNames::new();
    let report = report::build("a.pcap", began, &snapshot, &EXPECTATIONS, &assessment, &names);
    drop(text::render(&report, &TimeZone::UTC, 80));
    drop(serde_json::to_vec(&report).unwrap());
}
