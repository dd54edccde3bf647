//! The report as text for a terminal.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::{
    Difference, Dropped, Expectation, Name, PeerSource, Report, Scanner, State, Unexpected, words,
};
use crate::{
    discrepancy::{
        Cause, Verdict,
        reasons::{self, Meaning},
    },
    expect::SELF,
    observe::Loss,
};

/// The report, discrepancies first, at most `width` columns wide.
pub fn render(report: &Report, zone: &TimeZone, width: u16) -> String {
    let mut out = String::new();
    _ = writeln!(out, "{}\n", summary(report));
    for advice in advices(report, zone) {
        finding(&mut out, &advice, width);
    }
    let hidden = report.unexpected_total - report.unexpected.len();
    if hidden > 0 {
        _ = writeln!(out, "… and {hidden} more unexpected flows\n");
    }
    for line in table(report).lines() {
        _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for reason in blind_spots(report) {
        _ = writeln!(out, "not known: {reason}");
    }
    if let Some(State { file, fault: Some(fault), .. }) = &report.state {
        _ = writeln!(out, "not kept over a restart: {file}: {fault}");
    }
    for Scanner { address, ports } in &report.scanners {
        _ = writeln!(
            out,
            "{address} scans this host ({ports} documented ports in a minute): it counts for no flow"
        );
    }
    for note in &report.notes {
        _ = writeln!(out, "note: {note}");
    }
    names(&mut out, report, zone);
    out
}

/// How many expectations have which verdict, the worst first.
pub fn summary(report: &Report) -> String {
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
    let watched = age(report.watched());
    format!(
        "{}: {} expected flows: {}; {} unexpected; watched for {watched}",
        report.host,
        report.expectations.len(),
        verdicts.join(", "),
        report.unexpected_total,
    )
}

/// What is said of something that is wrong.
#[derive(Clone, Debug)]
pub struct Advice {
    /// `blocked`, `unexpected`, …
    pub kind: &'static str,
    /// What it concerns.
    pub title: String,
    /// Names and texts; a line without a name goes on with the one before.
    pub lines: Vec<(&'static str, String)>,
}

/// What is said of all that is wrong, the worst first, and what is unexpected last.
pub fn advices(report: &Report, zone: &TimeZone) -> impl Iterator<Item = Advice> {
    let failing = report.discrepancies().map(|failing| discrepancy(failing, report.taken, zone));
    failing.chain(report.unexpected.iter().map(|stranger| unexpected(stranger, report.taken, zone)))
}

/// What is said of an expectation that fails.
pub fn discrepancy(expectation: &Expectation, now: Timestamp, zone: &TimeZone) -> Advice {
    let Expectation { verdict, purpose, evidence, .. } = expectation;
    let cause = expectation.cause.unwrap_or(Cause::Undetermined);
    let mut lines = Vec::new();
    let mut line = |name: &'static str, text: &str| lines.push((name, text.to_owned()));
    line("what", purpose);
    line("since", &moment(expectation.since, now, zone));
    for failing in &evidence.failing {
        for session in &failing.sessions {
            line("evidence", &words::stuck(session, now, zone));
        }
        let hidden = failing.sessions_total - failing.sessions.len();
        if hidden > 0 {
            line("", &format!("… and {hidden} more sessions"));
        }
        let last = moment(failing.last, now, zone);
        if failing.attempts > 0 {
            let seen = words::attempts(failing, *verdict, &expectation.side);
            let said = format!("{} port {}: {seen}; last {last}", failing.address, failing.port);
            line("evidence", &said);
        }
        let last = |at: Option<Timestamp>| {
            at.map_or(String::new(), |at| format!("; last {}", moment(at, now, zone)))
        };
        let is_noise = |drop: &&Dropped| {
            matches!(reasons::meaning(&drop.reason, drop.received), Meaning::Noise(_))
        };
        for drop in failing.dropped.iter().filter(|drop| !is_noise(drop)) {
            let how = if drop.received { "on the way in" } else { "on the way out" };
            let (packets, reason, last) = (drop.packets, &drop.reason, last(drop.last));
            line("", &format!("{packets} packets dropped by this host {how}: {reason}{last}"));
        }
        for errors in &failing.icmp {
            let how = if errors.received { "received" } else { "sent" };
            let (packets, kind, last) = (errors.packets, &errors.kind, last(errors.last));
            line("", &format!("{packets} ICMP errors {how}: {kind}{last}"));
        }
        if let Some(route) = &failing.route {
            line("", &words::way(route, &failing.address));
        }
    }
    if let (Verdict::Missing, Some(due)) = (verdict, &expectation.due) {
        line("due", due);
    }
    if let Some(reason) = &evidence.reason {
        line("evidence", reason);
    }
    if let Some(Difference { received, transmitted }) = evidence.difference {
        if received > 0 {
            line("", &format!("{received} packets came in by a device and reached no socket"));
        }
        if transmitted > 0 {
            line("", &format!("{transmitted} packets of sockets left by no device"));
        }
    }
    let hidden = evidence.failing_total - evidence.failing.len();
    if hidden > 0 {
        line("", &format!("… and {hidden} more peers"));
    }
    let worked = expectation.last_success.map(|at| moment(at, now, zone));
    line("worked", worked.as_deref().unwrap_or("not seen yet"));
    line("cause", cause.name());
    line("try", words::advice(expectation, cause));
    Advice { kind: verdict.name(), title: expectation.place(), lines }
}

/// What is said of a flow that no expectation covers.
pub fn unexpected(stranger: &Unexpected, now: Timestamp, zone: &TimeZone) -> Advice {
    let cause = stranger.cause;
    let mut lines = Vec::new();
    let mut line = |name: &'static str, text: &str| lines.push((name, text.to_owned()));
    line("since", &moment(stranger.since, now, zone));
    let (received, transmitted) = (stranger.received.packets, stranger.transmitted.packets);
    line("evidence", &format!("{received} packets received, {transmitted} transmitted"));
    line("cause", cause.name());
    line("try", cause.advice());
    Advice { kind: "unexpected", title: stranger.place(), lines }
}

fn finding(out: &mut String, finding: &Advice, width: u16) {
    _ = writeln!(out, "{}  {}", finding.kind.to_uppercase(), finding.title);
    for (name, text) in &finding.lines {
        entry(out, width, name, text);
    }
    out.push('\n');
}

/// Every expectation, by system. Names are never broken: they are there to be copied.
fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["FLOW", "PORT", "SIDE", "PEERS", "VERDICT", "LAST WORKED", "LAST PACKET"]);
    let mut system = None;
    for expectation in &report.expectations {
        if system != Some(&expectation.system) {
            system = Some(&expectation.system);
            table.add_row([format!("[{}]", expectation.system)]);
        }
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
            ago(expectation.last_success, report.taken),
            ago(expectation.last_seen, report.taken),
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
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    _ = writeln!(out, "{}", textwrap::fill(text, options));
}

/// What was not seen, so that nobody takes it for fine.
pub fn blind_spots(report: &Report) -> Vec<String> {
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
            // What is of others is no blind spot.
            .filter(|(what, packets)| **packets > 0 && !is_of_others(what))
            .map(|(what, packets)| format!("{packets} packets not counted: {what}")),
    );
    if report.sessions_left_out > 0 {
        let many = report.sessions_left_out;
        reasons.push(format!("{many} open sessions are too many to be looked at"));
    }
    reasons
}

/// Whether packets were left out because they do not belong to this host, or were counted where they belong.
fn is_of_others(what: &str) -> bool {
    [Loss::OtherMachine, Loss::Forwarded, Loss::Copy].iter().any(|loss| loss.name() == what)
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
pub fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    format!("{} ({} ago)", clock(at, zone), age(now.duration_since(at)))
}

/// How long ago it was, if it ever was.
pub fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or("never".to_owned(), |at| format!("{} ago", age(now.duration_since(at))))
}

/// A moment as clocks of a zone show it.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    let local: Zoned = at.to_zoned(zone.clone());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A duration in its two largest units: `26h 5m`, `3s`.
pub fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// A number of bytes in a unit that fits.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut scale = 1;
    while unit + 1 < UNITS.len() && count >= scale * 1000 {
        scale *= 1000;
        unit += 1;
    }
    let (whole, tenth) = (count / scale, count % scale * 10 / scale);
    match scale {
        1 => format!("{count} B"),
        _ => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_fits() {
        let said = [0, 999, 1000, 1_550_000, 20_000_000_000].map(bytes);
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "1.5 MB", "20.0 GB"]);
    }
}
