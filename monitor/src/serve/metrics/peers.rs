//! Series that name single peers, so that an alert can. They are few: at most [`MOST_FAILING`] of an
//! expectation that fails, and as many of a cause for which a flow is unexpected.

use std::collections::BTreeMap;

use super::{Families, seconds};
use crate::report::{Expectation, MOST_FAILING, Report, Unexpected};

impl Families {
    /// How an expectation fails, and with whom.
    pub(super) fn add_discrepancy(&mut self, expectation: &Expectation, base: &[(&str, &str)]) {
        let Some(cause) = expectation.cause else { return };
        let labels = [base, &[("cause", cause.name())]].concat();
        self.add("backupflow_discrepancy", &labels, 1.0);
        let since = seconds(Some(expectation.since));
        self.add("backupflow_discrepancy_since_timestamp_seconds", &labels, since);
        let more = [
            ("verdict", expectation.verdict.name()),
            ("requirement", expectation.requirement.as_str()),
        ];
        self.add("backupflow_discrepancy_info", &[&labels[..], &more].concat(), 1.0);
        for failing in &expectation.evidence.failing {
            let port = failing.port.to_string();
            let peer = [
                ("cause", failing.cause.name()),
                ("address", failing.address.as_str()),
                ("port", &port),
                ("transport", &failing.transport),
            ];
            let since = seconds(Some(failing.since));
            let labels = [base, &peer].concat();
            self.add("backupflow_discrepancy_peer_since_timestamp_seconds", &labels, since);
        }
    }

    /// How many flows no expectation covers, and those that were noticed first: the others come and go.
    pub(super) fn add_unexpected(&mut self, report: &Report) {
        let mut groups: BTreeMap<_, Vec<&Unexpected>> = BTreeMap::new();
        for stranger in &report.unexpected {
            let Unexpected { system, product, flow, side, cause, .. } = stranger;
            groups.entry((system, product, flow, side, *cause)).or_default().push(stranger);
        }
        for ((system, product, flow, side, cause), mut strangers) in groups {
            let labels = [
                ("system", system.as_str()),
                ("product", product),
                ("flow", flow),
                ("side", side),
                ("cause", cause.name()),
            ];
            #[expect(clippy::cast_precision_loss, reason = "they are few")]
            self.add("backupflow_unexpected_flows", &labels, strangers.len() as f64);
            strangers.sort_by_key(|stranger| (stranger.since, &stranger.peer, stranger.port));
            for stranger in strangers.into_iter().take(MOST_FAILING) {
                let port = stranger.port.to_string();
                let peer = [
                    ("address", stranger.peer.as_str()),
                    ("port", &port),
                    ("transport", &stranger.transport),
                ];
                let labels = [&labels[..], &peer].concat();
                let since = seconds(Some(stranger.since));
                self.add("backupflow_unexpected_flow_since_timestamp_seconds", &labels, since);
            }
        }
    }
}
