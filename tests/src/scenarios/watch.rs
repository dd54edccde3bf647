//! The reports while scenarios are played.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    model::{Counted, Counts, Said},
    plan::{Scenario, Side},
};
use crate::{Daemon, Expectation, Report, report};

const EVERY: Duration = Duration::from_millis(250);
const BAD: [&str; 4] = ["blocked", "refused", "missing", "degraded"];

/// The latest report, and what was ever said to be wrong.
#[derive(Debug)]
pub(super) struct Watcher {
    latest: Mutex<Arc<Report>>,
    wrong: Mutex<BTreeSet<String>>,
    ends: AtomicBool,
}

impl Watcher {
    pub(super) fn new(daemon: &Daemon<'_>) -> Self {
        Self {
            latest: Mutex::new(Arc::new(daemon.report())),
            wrong: Mutex::default(),
            ends: AtomicBool::new(false),
        }
    }

    /// Looks at every report until the end.
    pub(super) fn watch(&self, daemon: &Daemon<'_>) {
        while !self.ends.load(Ordering::Relaxed) {
            let report = daemon.report();
            let wrong = report.expectations.iter().filter(|it| BAD.contains(&&*it.verdict));
            let words =
                wrong.map(|it| format!("{} {} {} {:?}", it.system, it.flow, it.verdict, it.cause));
            self.wrong.lock().unwrap().extend(words);
            *self.latest.lock().unwrap() = Arc::new(report);
            sleep(EVERY);
        }
    }

    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    pub(super) fn latest(&self) -> Arc<Report> {
        Arc::clone(&self.latest.lock().unwrap())
    }

    /// A report of counts that were read after a moment.
    pub(super) fn after(&self, moment: Timestamp) -> Result<Arc<Report>, String> {
        let report = self.latest();
        if report.taken > moment { Ok(report) } else { Err(format!("no report since {moment}")) }
    }

    /// Everything that was said to be wrong, at any time.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().iter().cloned().collect()
    }
}

fn find<'r>(report: &'r Report, scenario: &Scenario) -> &'r Expectation {
    let side = match scenario.flow.side {
        Side::Server => "server",
        Side::Client => "client",
    };
    let system = scenario.system();
    let is_it = |it: &&Expectation| {
        (&*it.system, &*it.flow, &*it.side) == (&*system, scenario.flow.flow, side)
    };
    report.expectations.iter().find(is_it).unwrap()
}

/// What is said of the flow of a scenario.
pub(super) fn heard(report: &Report, scenario: &Scenario) -> Said {
    let said = find(report, scenario);
    let failing = said.evidence.failing.first();
    Said {
        verdict: said.verdict.clone(),
        cause: said.cause.clone(),
        share: failing.and_then(|failing| failing.share),
        segments: failing.map(|failing| failing.attempts),
    }
}

/// What the host dropped of it, by the kernel's reason.
pub(super) fn dropped<'r>(report: &'r Report, scenario: &Scenario) -> &'r BTreeMap<String, u64> {
    &find(report, scenario).evidence.dropped
}

/// What is counted for it.
pub(super) fn counted(report: &Report, scenario: &Scenario) -> Counts {
    let evidence = &find(report, scenario).evidence;
    let counts =
        |it: report::Counts| -> Counted { [it.packets, it.syn, it.syn_ack, it.fin, it.rst] };
    let peer = evidence.peers.first().unwrap();
    Counts {
        ends: evidence.attempts.clone(),
        received: counts(peer.received),
        transmitted: counts(peer.transmitted),
    }
}
