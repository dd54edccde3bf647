//! Every metric, in one place.
//!
//! [`METRICS`] is what `/metrics` exposes; a test compares it with the real output. All series
//! come from the latest report, so that one scrape is one moment.

mod peers;
mod probes;
mod table;

pub use table::METRICS;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io::{self, Write},
};

use prometheus::{Encoder as _, Registry, TextEncoder, process_collector::ProcessCollector};

use super::{http::Reload, web::WebState};
use crate::{
    discrepancy::Verdict,
    report::{Counts, Expectation, Report},
};

/// What `/metrics` is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the text of `/metrics`.
pub fn write(
    mut out: &mut dyn Write,
    report: &Report,
    reload: &Reload,
    web: &WebState,
) -> io::Result<()> {
    Families::of(report, reload, web).write(&mut out)?;
    let process = Registry::new();
    let registered = process.register(Box::new(ProcessCollector::for_self()));
    registered
        .and_then(|()| TextEncoder::new().encode(&process.gather(), &mut out))
        .map_err(io::Error::other)
}

/// The lines of every metric. They are written as text at once: a value per label and series would take
/// ten times the memory.
struct Families(HashMap<&'static str, String>);

impl Families {
    fn of(report: &Report, reload: &Reload, web: &WebState) -> Self {
        let mut families = Self(HashMap::new());
        families.add("backupflow_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let successful = f64::from(u8::from(reload.faults.is_none()));
        families.add("backupflow_config_last_reload_successful", &[], successful);
        families.add(
            "backupflow_config_last_reload_success_timestamp_seconds",
            &[],
            seconds(Some(reload.last_success)),
        );
        families.add_web(web);
        families.add_report(report);
        families
    }

    fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        for (name, kind, help) in METRICS {
            if let Some(lines) = self.0.remove(name) {
                let kind = format!("{kind:?}").to_lowercase();
                write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}")?;
            }
        }
        debug_assert!(self.0.is_empty(), "not in METRICS: {:?}", self.0.keys());
        Ok(())
    }

    fn add_report(&mut self, report: &Report) {
        self.add("backupflow_start_timestamp_seconds", &[], seconds(Some(report.started)));
        self.add("backupflow_last_drain_timestamp_seconds", &[], seconds(Some(report.taken)));
        let written = report.state.as_ref().and_then(|state| state.written);
        self.add("backupflow_state_last_write_timestamp_seconds", &[], seconds(written));
        for expectation in &report.expectations {
            self.add_expectation(expectation);
        }
        self.add_verdicts(report);
        self.add_unexpected(report);
        for hook in &report.coverage {
            let labels = [
                ("hook", hook.hook.as_str()),
                ("interface", hook.interface.as_deref().unwrap_or("")),
            ];
            self.add("backupflow_hook_attached", &labels, f64::from(u8::from(hook.attached)));
        }
        for (what, packets) in &report.loss {
            self.add("backupflow_lost_total", &[("what", what)], exact(*packets));
        }
        self.add("backupflow_interface_overruns_total", &[], exact(report.interface_overruns));
        let map = [("map", "flows")];
        self.add("backupflow_map_entries", &map, exact(report.flow_map.entries as u64));
        self.add("backupflow_map_capacity", &map, f64::from(report.flow_map.capacity));
        for name in &report.names {
            let labels = [("name", name.name.as_str())];
            self.add("backupflow_name_addresses", &labels, exact(name.addresses.len() as u64));
            self.add("backupflow_name_changes_total", &labels, exact(name.changes));
        }
        if let Some(probes) = &report.probes {
            self.add_probes(probes);
        }
        self.add_catalog(report);
    }

    /// How many expectations of each system have which verdict, so that nobody has to add them up.
    fn add_verdicts(&mut self, report: &Report) {
        let mut systems: BTreeMap<(&str, &str), [u32; Verdict::ALL.len()]> = BTreeMap::new();
        for expectation in &report.expectations {
            let counts = systems.entry((&expectation.system, &expectation.product)).or_default();
            for (count, verdict) in counts.iter_mut().zip(Verdict::ALL) {
                *count += u32::from(verdict == expectation.verdict);
            }
        }
        for ((system, product), counts) in systems {
            for (count, verdict) in counts.into_iter().zip(Verdict::ALL) {
                let labels =
                    [("system", system), ("product", product), ("verdict", verdict.name())];
                self.add("backupflow_expectations", &labels, f64::from(count));
            }
        }
    }

    fn add_web(&mut self, web: &WebState) {
        if let Some(expires) = web.certificate_expires {
            let name = "backupflow_web_certificate_expiry_timestamp_seconds";
            self.add(name, &[], seconds(Some(expires)));
        }
        for (refusal, times) in web.refused() {
            self.add("backupflow_web_refused_total", &[("reason", refusal.name())], exact(times));
        }
    }

    fn add_catalog(&mut self, report: &Report) {
        let mut products: Vec<&str> =
            report.expectations.iter().map(|expectation| expectation.product.as_str()).collect();
        products.sort_unstable();
        products.dedup();
        for product in products.into_iter().filter_map(|id| catalog::bundled().product(id)) {
            for document in &product.documents {
                let labels = [("product", product.id.as_str()), ("document", document.id.as_str())];
                self.add("backupflow_catalog_info", &labels, 1.0);
            }
        }
    }

    fn add_expectation(&mut self, expectation: &Expectation) {
        let base = [
            ("system", expectation.system.as_str()),
            ("product", expectation.product.as_str()),
            ("flow", expectation.flow.as_str()),
            ("side", expectation.side.as_str()),
            ("peer_group", expectation.peer_group.as_str()),
        ];
        let with = |label| [&base[..], &[label]].concat();
        for verdict in Verdict::ALL {
            let is = f64::from(u8::from(verdict == expectation.verdict));
            self.add("backupflow_expectation_verdict", &with(("verdict", verdict.name())), is);
        }
        if let Some(at) = expectation.last_success {
            let name = "backupflow_expectation_last_success_timestamp_seconds";
            self.add(name, &base, seconds(Some(at)));
        }
        self.add_discrepancy(expectation, &base);
        let evidence = &expectation.evidence;
        for (reason, packets) in &evidence.dropped {
            let labels = with(("reason", reason));
            self.add("backupflow_flow_dropped_packets_total", &labels, exact(*packets));
        }
        let icmp = &evidence.icmp;
        for (direction, kinds) in [("receive", &icmp.received), ("transmit", &icmp.transmitted)] {
            for (kind, packets) in kinds {
                let labels = [&base[..], &[("direction", direction), ("kind", kind)]].concat();
                self.add("backupflow_flow_icmp_errors_total", &labels, exact(*packets));
            }
        }
        for (end, times) in &evidence.attempts {
            self.add("backupflow_attempts_total", &with(("end", end)), exact(*times));
        }
        for (outcome, times) in &evidence.outcomes {
            let labels = with(("outcome", outcome));
            self.add("backupflow_connections_total", &labels, exact(*times));
        }
        let again = exact(evidence.retransmitted);
        self.add("backupflow_flow_retransmitted_segments_total", &base, again);
        for peer in &evidence.peers {
            let labels = with(("peer", &peer.peer));
            let last_seen = seconds(peer.last_seen);
            self.add("backupflow_flow_last_seen_timestamp_seconds", &labels, last_seen);
            self.add_layer(&labels, "wire", &peer.received, &peer.transmitted);
            self.add_layer(&labels, "socket", &peer.socket_received, &peer.socket_transmitted);
        }
    }

    fn add_layer(
        &mut self,
        labels: &[(&str, &str)],
        layer: &str,
        received: &Counts,
        transmitted: &Counts,
    ) {
        let labels = [labels, &[("layer", layer)]].concat();
        self.add("backupflow_flow_receive_packets_total", &labels, exact(received.packets));
        self.add("backupflow_flow_receive_bytes_total", &labels, exact(received.bytes));
        self.add("backupflow_flow_transmit_packets_total", &labels, exact(transmitted.packets));
        self.add("backupflow_flow_transmit_bytes_total", &labels, exact(transmitted.bytes));
    }

    fn add(&mut self, name: &'static str, labels: &[(&str, &str)], value: f64) {
        let lines = self.0.entry(name).or_default();
        lines.push_str(name);
        for (nth, (label, value)) in labels.iter().enumerate() {
            lines.push(if nth == 0 { '{' } else { ',' });
            lines.push_str(label);
            lines.push_str("=\"");
            escape(lines, value);
            lines.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        _ = writeln!(lines, "{end} {value}");
    }
}

/// The value of a label as Prometheus reads it.
fn escape(out: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        out.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// A time as Prometheus has it; 0 for never.
fn seconds(at: Option<jiff::Timestamp>) -> f64 {
    at.map_or(0.0, |at| at.as_duration().as_secs_f64())
}

/// A count as Prometheus has it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn exact(count: u64) -> f64 {
    count as f64
}
