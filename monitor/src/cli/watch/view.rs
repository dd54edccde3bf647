//! What the screen shows: pure, told by reports and keys.

use jiff::tz::TimeZone;

use crate::{
    discrepancy::Cause,
    expect::SELF,
    report::{
        Expectation, Peer, PeerSource, Report, Unexpected,
        text::{self, Advice},
    },
};

/// All that is on the screen.
#[derive(Debug)]
pub(super) struct View {
    report: Report,
    before: Option<Report>,
    zone: TimeZone,
    /// Why the last question had no answer.
    pub(super) failure: Option<String>,
    only_wrong: bool,
    /// What is selected, as it is called: rows come and go.
    selected: Option<String>,
    detail: bool,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    id: String,
    /// The system, as the config names it.
    pub(super) system: String,
    /// The flow.
    pub(super) flow: String,
    /// The service port.
    pub(super) port: String,
    /// Who connects to whom.
    pub(super) direction: String,
    /// The verdict, or `unexpected`.
    pub(super) verdict: &'static str,
    /// Bytes per second in both directions.
    pub(super) rate: u64,
    /// The cause of what is wrong, else nothing.
    pub(super) cause: &'static str,
    /// How long ago it worked; nothing for what is unexpected.
    pub(super) worked: String,
    /// How long ago a packet was seen.
    pub(super) packet: String,
}

/// What a row stands for.
enum Entry<'a> {
    Expectation(&'a Expectation),
    Unexpected(&'a Unexpected),
}

impl View {
    /// The first report, with more of the worst row where anything is wrong.
    pub(super) fn new(report: Report, zone: TimeZone) -> Self {
        Self {
            detail: !report.is_fine(),
            report,
            before: None,
            zone,
            failure: None,
            only_wrong: false,
            selected: None,
        }
    }

    /// Takes in what came of a question.
    pub(super) fn take_in(&mut self, answer: Result<Report, String>) {
        match answer {
            Ok(report) => {
                self.failure = None;
                if report.taken > self.report.taken {
                    self.before = Some(std::mem::replace(&mut self.report, report));
                }
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Moves the selection, no further than to the ends.
    pub(super) fn go(&mut self, rows: isize) {
        let entries = self.entries();
        let last = entries.len().saturating_sub(1);
        let index = self.index().saturating_add_signed(rows).min(last);
        self.selected = entries.get(index).map(Entry::id);
    }

    /// Shows more of the selected row, or no longer.
    pub(super) fn toggle_detail(&mut self) {
        self.detail = !self.detail;
    }

    /// Shows only what is wrong, or everything.
    pub(super) fn toggle_only_wrong(&mut self) {
        self.only_wrong = !self.only_wrong;
    }

    /// Closes the detail; `false` where none is open.
    pub(super) fn close(&mut self) -> bool {
        std::mem::take(&mut self.detail)
    }

    /// The line at the top.
    pub(super) fn summary(&self) -> String {
        text::summary(&self.report)
    }

    /// The list, what is wrong first.
    pub(super) fn rows(&self) -> Vec<Row> {
        self.entries().iter().map(|entry| self.row(entry)).collect()
    }

    /// Index of the selected row.
    pub(super) fn index(&self) -> usize {
        let is_selected = |entry: &Entry<'_>| Some(entry.id()) == self.selected;
        self.entries().iter().position(is_selected).unwrap_or(0)
    }

    /// What is said of the selected row, where it is asked for.
    pub(super) fn detail(&self) -> Option<Advice> {
        let entries = self.entries();
        let entry = entries.get(self.index()).filter(|_| self.detail)?;
        Some(match entry {
            Entry::Unexpected(stranger) => {
                text::unexpected(stranger, self.report.taken, &self.zone)
            }
            Entry::Expectation(expectation) if expectation.verdict.is_discrepancy() => {
                text::discrepancy(expectation, self.report.taken, &self.zone)
            }
            Entry::Expectation(expectation) => self.in_order(expectation),
        })
    }

    /// What is said of an expectation that does not fail.
    fn in_order(&self, expectation: &Expectation) -> Advice {
        let Expectation { system, flow, purpose, verdict, evidence, .. } = expectation;
        let at = |at| text::moment(at, self.report.taken, &self.zone);
        let mut lines = vec![("what", purpose.clone()), ("since", at(expectation.since))];
        let worked = expectation.last_success.map_or("not seen yet".to_owned(), at);
        lines.push(("worked", worked));
        lines.extend(evidence.reason.iter().map(|reason| ("reason", reason.clone())));
        let mut name = "counts";
        for Peer { peer, received, transmitted, .. } in &evidence.peers {
            let counted = format!(
                "{peer}: {} packets received, {} transmitted",
                received.packets, transmitted.packets
            );
            lines.push((std::mem::take(&mut name), counted));
        }
        Advice { kind: verdict.name(), title: format!("{system}: {flow}"), lines }
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let unexpected = self.report.unexpected.iter().map(Entry::Unexpected);
        let is_fine = |other: &&Expectation| !other.verdict.is_discrepancy() && !self.only_wrong;
        let fine = self.report.expectations.iter().filter(is_fine);
        let wrong = self.report.discrepancies().map(Entry::Expectation).chain(unexpected);
        wrong.chain(fine.map(Entry::Expectation)).collect()
    }

    fn row(&self, entry: &Entry<'_>) -> Row {
        let age = |at: Option<jiff::Timestamp>| {
            at.map_or("never".to_owned(), |at| text::age(self.report.taken.duration_since(at)))
        };
        match entry {
            Entry::Expectation(expectation) => Row {
                id: entry.id(),
                system: expectation.system.clone(),
                flow: expectation.flow.clone(),
                port: format!(
                    "{}/{}",
                    expectation.ports.join(","),
                    expectation.transports.join(",")
                ),
                direction: direction(expectation),
                verdict: expectation.verdict.name(),
                cause: expectation.cause.map_or("", Cause::name),
                rate: self.rate(expectation),
                worked: age(expectation.last_success),
                packet: age(expectation.last_seen),
            },
            Entry::Unexpected(stranger) => Row {
                id: entry.id(),
                system: stranger.system.clone(),
                flow: stranger.flow.clone(),
                port: format!("{}/{}", stranger.port, stranger.transport),
                direction: match stranger.side.as_str() {
                    "server" => format!("from {}", stranger.peer),
                    _ => format!("to {}", stranger.peer),
                },
                verdict: "unexpected",
                cause: stranger.cause.name(),
                rate: 0,
                worked: String::new(),
                packet: age(stranger.last_seen),
            },
        }
    }

    /// Bytes per second since the report before.
    fn rate(&self, expectation: &Expectation) -> u64 {
        let id = Entry::Expectation(expectation).id();
        let before = self.before.as_ref().and_then(|before| {
            let is_same = |other: &&Expectation| Entry::Expectation(other).id() == id;
            Some((before.taken, bytes(before.expectations.iter().find(is_same)?)))
        });
        let Some((taken, before)) = before else {
            return 0;
        };
        let passed = self.report.taken.duration_since(taken).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX).max(1);
        bytes(expectation).saturating_sub(before).saturating_mul(1000) / passed
    }
}

impl Entry<'_> {
    fn id(&self) -> String {
        match self {
            Self::Expectation(Expectation { system, flow, side, peer_group, .. }) => {
                format!("{system} {flow} {side} {peer_group}")
            }
            Self::Unexpected(Unexpected { side, peer, port, transport, .. }) => {
                format!("{side} {peer} {port} {transport}")
            }
        }
    }
}

fn direction(expectation: &Expectation) -> String {
    let Expectation { side, peer_group, peers, .. } = expectation;
    let way = if side == "client" { "to" } else { "from" };
    match peers {
        PeerSource::Any if peer_group != SELF => format!("{way} any {peer_group}"),
        PeerSource::Any | PeerSource::Config | PeerSource::Document => {
            format!("{way} {peer_group}")
        }
    }
}

fn bytes(expectation: &Expectation) -> u64 {
    let peers = expectation.evidence.peers.iter();
    peers.map(|peer| peer.received.bytes + peer.transmitted.bytes).sum()
}
