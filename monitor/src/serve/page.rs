//! The status page: what `status` says, for a browser. It works without scripts and asks for nothing
//! else.

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    history::{History, MINUTES, SAMPLES},
    runbooks,
};
use crate::{
    discrepancy::Verdict,
    report::{
        Expectation, PeerSource, Report,
        text::{self, Advice},
    },
};

/// How often a browser asks again, in seconds.
const REFRESH: u32 = 15;

const STYLE: &str = include_str!("page.css");

/// The page of a report.
pub(super) fn render(report: &Report, history: &History, zone: &TimeZone) -> String {
    let findings: Vec<Advice> = text::advices(report, zone).collect();
    let blind = text::blind_spots(report);
    let many = match findings.len() {
        0 => "no discrepancy".to_owned(),
        1 => "1 discrepancy".to_owned(),
        many => format!("{many} discrepancies"),
    };
    let title = format!("{}: {many}", report.host);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(REFRESH);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – backupflow" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (report.host) }
                    p.soft {
                        "as of " (text::clock(report.taken, zone)) ", watched for "
                        (text::age(report.watched()))
                        ", by backupflow " (env!("CARGO_PKG_VERSION"))
                    }
                    (counts(report))
                }
                main {
                    section aria-labelledby="discrepancies" {
                        h2 #discrepancies { "Discrepancies" }
                        @if findings.is_empty() { p { "None." } }
                        @for finding in &findings { (card(finding)) }
                        @let hidden = report.unexpected_total - report.unexpected.len();
                        @if hidden > 0 { p { "… and " (hidden) " more unexpected flows" } }
                    }
                    section aria-labelledby="expected" {
                        h2 #expected { "Expected flows" }
                        @for of_system in report.expectations.chunk_by(|a, b| a.system == b.system) {
                            (table(of_system, report, history))
                        }
                    }
                    section aria-labelledby="unknown" {
                        h2 #unknown { "Not known" }
                        @if blind.is_empty() { p { "Nothing: every hook watches, and every packet was counted." } }
                        @else { ul { @for reason in &blind { li { (reason) } } } }
                    }
                }
                footer {
                    p.soft {
                        "For programs: " a href="/api/v1/report" { "report" } ", " a href="/metrics" { "metrics" } "."
                    }
                }
            }
        }
    }
    .into_string()
}

fn counts(report: &Report) -> Markup {
    let of = |verdict| report.expectations.iter().filter(|e| e.verdict == verdict).count();
    html! {
        ul.counts {
            @for verdict in Verdict::ALL.into_iter().rev() {
                @if of(verdict) > 0 {
                    li { (of(verdict)) " " span.verdict.(verdict.name()) { (verdict) } }
                }
            }
            @if report.unexpected_total > 0 {
                li { (report.unexpected_total) " " span.verdict.unexpected { "unexpected" } }
            }
        }
    }
}

fn card(finding: &Advice) -> Markup {
    // Neither has lines that go on with it.
    let is_first = |(name, _): &&(&str, String)| matches!(*name, "cause" | "try");
    let (first, rest): (Vec<_>, Vec<_>) = finding.lines.iter().partition(is_first);
    html! {
        article.(finding.kind) {
            h3 { span.verdict { (finding.kind) } " " (finding.title) }
            dl {
                @for (name, text) in first.into_iter().chain(rest) {
                    @if !name.is_empty() { dt { (name) } }
                    dd.on[name.is_empty()] {
                        (text)
                        @if *name == "cause" && runbooks::page(text).is_some() {
                            " – " a href=(runbooks::path(text)) { "runbook" }
                        }
                    }
                }
            }
        }
    }
}

fn table(expectations: &[Expectation], report: &Report, history: &History) -> Markup {
    let traffic = format!("Traffic, last {MINUTES} min");
    html! {
        table {
            @if let Some(Expectation { system, product, .. }) = expectations.first() {
                caption {
                    (system)
                    @if system != product { " " span.soft { "(" (product) ")" } }
                }
            }
            thead {
                tr {
                    @for name in ["Flow", "Port", "Opened by", "Peers", "Verdict", "Last worked", "Last packet", &traffic] {
                        th scope="col" { (name) }
                    }
                }
            }
            tbody {
                @for expectation in expectations { (row(expectation, report, history)) }
            }
        }
    }
}

fn row(expectation: &Expectation, report: &Report, history: &History) -> Markup {
    let Expectation { flow, ports, transports, side, peer_group, verdict, purpose, .. } =
        expectation;
    html! {
        tr {
            th scope="row" title=(purpose) { (flow) }
            td.number data-name="Port" { (ports.join(",")) "/" (transports.join(",")) }
            td data-name="Opened by" { @if side == "client" { "this host" } @else { "the peer" } }
            td data-name="Peers" {
                (peer_group)
                @if expectation.peers == PeerSource::Any { " " span.soft { "(any)" } }
            }
            td data-name="Verdict" { span.verdict.(verdict.name()) { (verdict) } }
            td.number data-name="Last worked" { (text::ago(expectation.last_success, report.taken)) }
            td.number data-name="Last packet" { (text::ago(expectation.last_seen, report.taken)) }
            td.traffic data-name="Traffic" { (sparkline(&history.rates(expectation))) }
        }
    }
}

/// A curve of the throughput, with its maximum.
fn sparkline(rates: &[u64]) -> Markup {
    const HEIGHT: u64 = 22;
    let most = rates.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return html! { span.soft { "none" } };
    }
    let first = SAMPLES - rates.len();
    let points: Vec<String> = rates
        .iter()
        .enumerate()
        .map(|(index, rate)| {
            format!("{},{}", (first + index) * 2, HEIGHT + 1 - rate * HEIGHT / most)
        })
        .collect();
    let label = format!("at most {} a second in the last {MINUTES} minutes", text::bytes(most));
    html! {
        svg viewBox="0 0 120 24" preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            polyline points=(points.join(" ")) vector-effect="non-scaling-stroke" {}
        }
        span.soft { "up to " (text::bytes(most)) "/s" }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn curve_ends_at_the_right_and_touches_the_top() {
        let svg = sparkline(&[0, 500, 1000]).into_string();
        assert!(svg.contains("points=\"114,23 116,12 118,1\""), "{svg}");
        assert!(svg.contains("at most 1.0 kB a second in the last 10 minutes"), "{svg}");
        assert!(svg.ends_with("<span class=\"soft\">up to 1.0 kB/s</span>"), "{svg}");
        assert_eq!(sparkline(&[0, 0]).into_string(), "<span class=\"soft\">none</span>");
    }
    #[test]
    fn a_restart_is_no_break_in_the_watch() {
        let sample = include_str!("../../tests/golden/report.json");
        let mut report: Report = serde_json::from_str(sample).unwrap();
        report.watched_since = Some(report.taken - SignedDuration::from_hours(26));
        report.started = report.taken;
        let page = render(&report, &History::default(), &TimeZone::UTC);
        assert!(page.contains("watched for 1d 2h"), "{page}");
    }
}
