//! The track of each flow, from its first snapshot, or from where an earlier run had left it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Track;
use crate::observe::{FlowId, Snapshot, Tally};

/// The memories of flows between snapshots.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    flows: BTreeMap<FlowId, Box<Track>>,
    /// A snapshot was taken in.
    begun: bool,
    /// Up to when an earlier run had said what counts mean.
    pub(super) judged_until: Option<Timestamp>,
    /// Up to when it had handed over all that failed.
    failures_until: Option<Timestamp>,
}

impl Tracks {
    /// Those that an earlier run handed over.
    pub(super) fn resume(
        flows: Vec<(FlowId, Track)>,
        judged_until: Timestamp,
        failures_until: Option<Timestamp>,
    ) -> Self {
        let flows = flows.into_iter().map(|(flow, track)| (flow, Box::new(track))).collect();
        Self { flows, begun: false, judged_until: Some(judged_until), failures_until }
    }

    /// Brings the track of a flow up to a snapshot. What an earlier run had judged is not judged again.
    pub(super) fn follow(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        snapshot: &Snapshot,
        compares_layers: bool,
    ) -> &mut Track {
        let is_first = !self.begun;
        let is_new = !self.flows.contains_key(flow);
        let failures_until = self.failures_until;
        let new = || Box::new(Track::of(flow, tally, is_first, failures_until));
        let track = self.flows.entry(*flow).or_insert_with(new);
        if is_first && !is_new {
            track.resume(tally);
        }
        track.advance(flow, tally, snapshot.routes.get(&flow.peer), snapshot.taken);
        if !compares_layers {
            track.pause_layers();
        }
        if is_new {
            track.forget_until(self.judged_until);
        }
        track
    }

    /// Every flow of a snapshot was followed.
    pub(super) const fn end_snapshot(&mut self) {
        self.begun = true;
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.flows.values_mut().for_each(|track| track.set_clock(by));
    }

    pub(super) fn get(&self, flow: &FlowId) -> Option<&Track> {
        self.flows.get(flow).map(|track| &**track)
    }

    /// The track of a flow that left the map.
    pub(super) fn remove(&mut self, flow: &FlowId) -> Track {
        self.flows.remove(flow).map(|track| *track).unwrap_or_default()
    }
}
