//! Series of the daemon's own probes.

use std::collections::BTreeMap;

use super::{Families, seconds};
use crate::{
    observe::{Side, side_name},
    report::{Probe, ProbeResult, Probes},
};

impl Families {
    /// One series for each port of each peer that was tried. A peer's name can stand for many
    /// addresses: one that works is enough, as it is for programs.
    pub(super) fn add_probes(&mut self, probes: &Probes) {
        self.add("backupflow_probe_last_timestamp_seconds", &[], seconds(Some(probes.ended)));
        let mut tried: BTreeMap<_, Vec<&Probe>> = BTreeMap::new();
        for probe in probes.results.iter().filter(|probe| probe.result != ProbeResult::NotTried) {
            let Probe { system, product, flow, peer_group, peer, port, .. } = probe;
            tried.entry((system, product, flow, peer_group, peer, port)).or_default().push(probe);
        }
        for ((system, product, flow, peer_group, peer, port), probes) in tried {
            let port = port.map(|port| port.to_string()).unwrap_or_default();
            let labels = [
                ("system", system.as_str()),
                ("product", product),
                ("flow", flow),
                ("side", side_name(Side::Client)),
                ("peer_group", peer_group),
                ("peer", peer.as_deref().unwrap_or_default()),
                ("port", &port),
            ];
            let is_good = |probe: &&&Probe| probe.result == ProbeResult::Connected;
            let times = |probes: &mut dyn Iterator<Item = &&Probe>| {
                probes.filter_map(|probe| probe.seconds).reduce(f64::min)
            };
            let good = probes.iter().any(|probe| is_good(&probe));
            let took =
                times(&mut probes.iter().filter(is_good)).or_else(|| times(&mut probes.iter()));
            self.add("backupflow_probe_success", &labels, f64::from(u8::from(good)));
            if let Some(took) = took {
                self.add("backupflow_probe_duration_seconds", &labels, took);
            }
        }
    }
}
