//! Milliseconds to match the flows of a snapshot, to judge it and to report it.
//!
//! Every flow fails and is known. Systems have peers of their own, four networks each; in the last rows
//! all have the same ones.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes the time and prints its table"
)]

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use monitor::{
    config,
    discrepancy::Ledger,
    expect::{Expectation, Matcher, Names, expectations},
    names::KnownNames,
    observe::{Drop, FlowId, Flows, Side, Snapshot, Tally, Transport, Wire},
    report,
};

/// Odd, so that one round is the median.
const ROUNDS: usize = 31;

/// Expectations of one system.
const EACH: usize = 6;

/// First bytes of the networks of every system.
const NETWORKS: [u8; 4] = [20, 30, 40, 50];

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:>13}{:>8}{:>10}{:>10}{:>10}   ms",
        "expectations", "flows", "match", "judge", "report"
    );
    for (systems, same) in [(17, false), (167, false), (1667, false), (85, true)] {
        let text = config(systems, same);
        let expectations = expectations(&config::parse("bench.toml", &text)?);
        assert_eq!(expectations.len(), systems * EACH);
        for flows in [1_000, 16_384] {
            let [matching, judging, reporting] = measure(&expectations, flows, systems)?;
            let all = expectations.len();
            println!("{all:>13}{flows:>8}{matching:>10.1}{judging:>10.1}{reporting:>10.1}");
        }
    }
    Ok(())
}

/// SQL servers, each with clusters of its own, or all with the same.
fn config(systems: usize, same: bool) -> String {
    let mut text = String::new();
    for system in 0..systems {
        let peers = if same {
            "\"0.0.0.0/1\"".to_owned()
        } else {
            let [.., high, low] = system.to_be_bytes();
            let net = |first| format!("\"{first}.{high}.{low}.0/24\"");
            NETWORKS.map(net).join(", ")
        };
        _ = write!(
            text,
            "[[system]]\nname = \"s{system}\"\nproduct = \"ibm-backup-recovery\"\n\
             roles = [\"ms-sql-server\", \"physical-server\"]\npeers.cluster = [{peers}]\n"
        );
    }
    text
}

/// The medians of matching, judging and reporting.
fn measure(
    expectations: &[Expectation],
    flows: usize,
    systems: usize,
) -> Result<[f64; 3], jiff::Error> {
    let (names, known) = (Names::new(), KnownNames::new());
    let started: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let mut snapshot = snapshot(started, flows, systems);
    let mut ledger = Ledger::new(started);
    let mut times = [const { Vec::new() }; 3];
    // In the first rounds, the attempts can still be answered.
    for round in 0..ROUNDS + 4 {
        snapshot.taken += SignedDuration::from_secs(1);
        let begun = Instant::now();
        let matcher = Matcher::new(expectations, &names);
        let matched =
            snapshot.flows.iter().filter(|(flow, tally)| !matcher.matches(flow, tally).is_empty());
        assert_eq!(matched.count(), flows);
        let matched = begun.elapsed();
        let begun = Instant::now();
        let assessment = ledger.assess(&snapshot, expectations, &names);
        let judged = begun.elapsed();
        let begun = Instant::now();
        let report = report::build("bench", started, &snapshot, expectations, &assessment, &known);
        let reported = begun.elapsed();
        if round < 4 {
            continue;
        }
        let failing: usize = report.discrepancies().map(|e| e.evidence.failing_total).sum();
        assert!(failing >= flows, "{failing} flows fail");
        for (times, took) in times.iter_mut().zip([matched, judged, reported]) {
            times.push(took.as_secs_f64() * 1000.0);
        }
    }
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    }))
}

/// A snapshot of flows that nobody answers because nothing listens, spread over the systems.
fn snapshot(taken: Timestamp, flows: usize, systems: usize) -> Snapshot {
    let dropped = Drop {
        reason: "NO_SOCKET".into(),
        received: true,
        opening: true,
        datagram: false,
        packets: 1,
        first: Some(taken),
        last: Some(taken),
        interface: Some("eth0".into()),
        port: 40000,
        ..Drop::default()
    };
    let mut wire =
        Wire { last_received: Some(taken), interface: Some("eth0".into()), ..Wire::default() };
    wire.received.packets = 1;
    wire.received.syn = 1;
    let tally = Tally { wire, dropped: vec![dropped], ..Tally::default() };
    let flow = |number: usize| {
        let [.., high, low] = (number % systems).to_be_bytes();
        let rest = number / systems;
        let first = NETWORKS[rest / 256];
        let last = u8::try_from(rest % 256).unwrap_or_default();
        let peer = IpAddr::V4(Ipv4Addr::new(first, high, low, last));
        let (transport, side) = (Transport::Tcp, Side::Server);
        FlowId { service_port: 50051, transport, side, loopback: false, peer }
    };
    let flows: Flows = (0..flows).map(|number| (flow(number), tally.clone())).collect();
    Snapshot {
        counting: None,
        taken,
        entries: flows.wire().count(),
        flows,
        evicted: Vec::new(),
        capacity: 16_384,
        lost: BTreeMap::new(),
        interface_overruns: 0,
        coverage: Vec::new(),
        listeners: Vec::new(),
        routes: BTreeMap::new(),
        sessions: None,
        sessions_left_out: 0,
    }
}
