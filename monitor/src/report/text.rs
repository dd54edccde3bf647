//! The report as text for a terminal.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::{Expectation, Name, PeerSource, Report, Unexpected};
use crate::{
    discrepancy::{Cause, Verdict},
    expect::SELF,
};

/// The report, discrepancies first, at most `width` columns wide.
pub fn render(report: &Report, zone: &TimeZone, width: u16) -> String {
    let mut out = String::new();
    summary(&mut out, report);
    let mut failing: Vec<&Expectation> = report.discrepancies().collect();
    failing.sort_by_key(|expectation| (std::cmp::Reverse(expectation.verdict), expectation.since));
    for expectation in failing {
        discrepancy(&mut out, expectation, report.taken, zone, width);
    }
    for stranger in &report.unexpected {
        unexpected(&mut out, stranger, report.taken, zone, width);
    }
    let hidden = report.unexpected_total - report.unexpected.len();
    if hidden > 0 {
        _ = writeln!(out, "… and {hidden} more unexpected flows\n");
    }
    for line in table(report).lines() {
        _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    blind_spots(&mut out, report);
    for note in &report.notes {
        _ = writeln!(out, "note: {note}");
    }
    names(&mut out, report, zone);
    out
}

fn summary(out: &mut String, report: &Report) {
    let count = |verdict| {
        let all = report.expectations.iter();
        all.filter(|expectation| expectation.verdict == verdict).count()
    };
    let verdicts: Vec<String> = Verdict::ALL
        .into_iter()
        .rev()
        .filter(|&verdict| count(verdict) > 0)
        .map(|verdict| format!("{} {verdict}", count(verdict)))
        .collect();
    let watched = age(report.taken.duration_since(report.started));
    _ = writeln!(
        out,
        "{}: {} expected flows: {}; {} unexpected; watched for {watched}\n",
        report.host,
        report.expectations.len(),
        verdicts.join(", "),
        report.unexpected_total,
    );
}

fn discrepancy(
    out: &mut String,
    expectation: &Expectation,
    now: Timestamp,
    zone: &TimeZone,
    width: u16,
) {
    let Expectation { system, flow, peer_group, verdict, purpose, evidence, .. } = expectation;
    let cause = expectation.cause.unwrap_or(Cause::Undetermined);
    let direction = match expectation.side.as_str() {
        "server" => format!("from {peer_group} to this host"),
        _ => format!("from this host to {peer_group}"),
    };
    let ports = format!("{}/{}", expectation.ports.join(","), expectation.transports.join(","));
    let verdict_name = verdict.name().to_uppercase();
    _ = writeln!(out, "{verdict_name}  {system}: {flow}, {direction}, port {ports}");
    let mut line = |name: &str, text: &str| entry(out, width, name, text);
    line("what", purpose);
    line("since", &moment(expectation.since, now, zone));
    for failing in &evidence.failing {
        let interface = failing.interface.as_deref().map(|name| format!(" on {name}"));
        let answer = match (verdict, expectation.side.as_str()) {
            (Verdict::Refused, "server") => "this host answers with RST",
            (Verdict::Refused, _) => "it answers with RST",
            (_, "server") => "this host does not answer",
            _ => "no answer",
        };
        let interface = interface.unwrap_or_default();
        let seen = match failing.transport.as_str() {
            "udp" => format!("{} datagrams lost at this host", failing.attempts),
            _ => format!("{} SYN seen{interface}, {answer}", failing.attempts),
        };
        let last = moment(failing.last, now, zone);
        let said = format!("{} port {}: {seen}; last {last}", failing.address, failing.port);
        line("evidence", &said);
        for drop in &failing.dropped {
            let how = if drop.received { "on the way in" } else { "on the way out" };
            let last =
                drop.last.map_or(String::new(), |at| format!("; last {}", moment(at, now, zone)));
            line(
                "",
                &format!(
                    "{} packets dropped by this host {how}: {}{last}",
                    drop.packets, drop.reason
                ),
            );
        }
    }
    if let Some(reason) = &evidence.reason {
        line("evidence", reason);
    }
    let hidden = evidence.failing_total - evidence.failing.len();
    if hidden > 0 {
        line("", &format!("… and {hidden} more peers"));
    }
    let worked = expectation.last_success.map(|at| moment(at, now, zone));
    line("worked", worked.as_deref().unwrap_or("not seen yet"));
    line("cause", cause.name());
    line("try", cause.advice());
    out.push('\n');
}

fn unexpected(
    out: &mut String,
    stranger: &Unexpected,
    now: Timestamp,
    zone: &TimeZone,
    width: u16,
) {
    let Unexpected { system, flow, peer, port, transport, cause, .. } = stranger;
    let direction = match stranger.side.as_str() {
        "server" => format!("from {peer} to this host"),
        _ => format!("from this host to {peer}"),
    };
    _ = writeln!(out, "UNEXPECTED  {system}: {direction}, port {port}/{transport}, near {flow}");
    let mut line = |name: &str, text: &str| entry(out, width, name, text);
    line("since", &moment(stranger.since, now, zone));
    let (received, transmitted) = (stranger.received.packets, stranger.transmitted.packets);
    line("evidence", &format!("{received} packets received, {transmitted} transmitted"));
    line("cause", cause.name());
    line("try", cause.advice());
    out.push('\n');
}

/// Every expectation, by system. Names are never broken: they are there to be copied.
fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["FLOW", "PORT", "SIDE", "PEERS", "VERDICT", "SEEN"]);
    let mut system = None;
    for expectation in &report.expectations {
        if system != Some(&expectation.system) {
            system = Some(&expectation.system);
            table.add_row([format!("[{}]", expectation.system)]);
        }
        let seen = expectation.last_seen.map_or("never".to_owned(), |at| {
            format!("{} ago", age(report.taken.duration_since(at)))
        });
        table.add_row([
            expectation.flow.clone(),
            format!("{}/{}", expectation.ports.join(","), expectation.transports.join(",")),
            expectation.side.clone(),
            match expectation.peers {
                PeerSource::Any if expectation.peer_group != SELF => {
                    format!("{} (any)", expectation.peer_group)
                }
                PeerSource::Any | PeerSource::Config | PeerSource::Document => {
                    expectation.peer_group.clone()
                }
            },
            expectation.verdict.to_string(),
            seen,
        ]);
    }
    table
}

/// A line of a finding, its text kept within the width.
fn entry(out: &mut String, width: u16, name: &str, text: &str) {
    let indent = format!("  {name:<10}");
    let options = textwrap::Options::new(usize::from(width))
        .initial_indent(&indent)
        .subsequent_indent("            ")
        .break_words(false);
    _ = writeln!(out, "{}", textwrap::fill(text, options));
}

/// What was not seen, so that nobody takes it for fine.
fn blind_spots(out: &mut String, report: &Report) {
    let mut reasons: Vec<String> = report
        .expectations
        .iter()
        .filter(|expectation| expectation.verdict == Verdict::Unknown)
        .filter_map(|expectation| {
            let reason = expectation.evidence.reason.as_ref()?;
            Some(format!("{} {}: {reason}", expectation.system, expectation.flow))
        })
        .collect();
    reasons.extend(report.coverage.iter().filter(|hook| !hook.attached).map(|hook| {
        format!(
            "{} {}: {}",
            hook.hook,
            hook.interface.as_deref().unwrap_or("-"),
            hook.reason.as_deref().unwrap_or("not attached"),
        )
    }));
    reasons.extend(
        report
            .loss
            .iter()
            .filter(|(_, packets)| **packets > 0)
            .map(|(what, packets)| format!("{packets} packets not counted: {what}")),
    );
    for reason in reasons {
        _ = writeln!(out, "not known: {reason}");
    }
}

/// The names that are not resolved, or that have had other addresses.
fn names(out: &mut String, report: &Report, zone: &TimeZone) {
    for Name { name, addresses, changes, since } in &report.names {
        let Some(since) = since.map(|since| moment(since, report.taken, zone)) else {
            _ = writeln!(out, "name {name}: not resolved yet");
            continue;
        };
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        if addresses.is_empty() {
            _ = writeln!(out, "name {name}: no addresses since {since}");
        } else if *changes > 0 {
            _ = writeln!(out, "name {name}: {} since {since}", addresses.join(", "));
        }
    }
}

/// A moment and how long ago it was.
fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let local: Zoned = at.to_zoned(zone.clone());
    format!("{} ({} ago)", local.strftime("%Y-%m-%d %H:%M:%S %Z"), age(now.duration_since(at)))
}

/// A duration in its two largest units: `26h 5m`, `3s`.
fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}
