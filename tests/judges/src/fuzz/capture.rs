//! A capture file, as `replay` counts and judges it.

use std::{collections::BTreeSet, sync::LazyLock};

use jiff::tz::TimeZone;
use monitor::{
    config,
    expect::{Expectation, expectations},
    replay::{Error, Replayed, replay},
    report::text,
};

static EXPECTATIONS: LazyLock<Vec<Expectation>> = LazyLock::new(|| {
    let text = include_str!("../../../hosts/mssql-server.toml");
    expectations(&config::parse("mssql-server.toml", text).unwrap())
});

/// Takes a capture file.
pub fn capture(bytes: &[u8]) {
    let expectations = EXPECTATIONS.as_slice();
    let of = |given| replay(|| Ok(bytes), expectations, &given);
    let replayed = match of(BTreeSet::new()) {
        Err(Error::WhoseIsUnclear(some)) => of(some.into_iter().take(2).collect()),
        other => other,
    };
    if let Ok(replayed) = replayed {
        conclude(&replayed);
    }
}

/// Each frame is counted at most once, and the report can be written.
fn conclude(replayed: &Replayed) {
    let Replayed { snapshot, frames, .. } = replayed;
    let flows = snapshot.flows.wire();
    let of_flows = flows.map(|(_, wire)| wire.received.packets + wire.transmitted.packets);
    let counted = of_flows.sum::<u64>() + snapshot.lost.values().sum::<u64>();
    assert!(counted <= *frames, "{counted} of {frames} frames");
    let report = replayed.report("a.pcap", &EXPECTATIONS);
    drop(text::render(&report, &TimeZone::UTC, 80));
    drop(serde_json::to_vec(&report).unwrap());
}
