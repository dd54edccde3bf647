//! What of failing flows outlives a run of the monitor.
//!
//! Where the kernel kept the counts, they go on. Where they begin afresh, those of the earlier run are added to
//! them: so the counts of such a flow only grow, and what follows from them is what a monitor would say that never
//! stopped.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Track,
    session::{Followed, Sessions},
    tracks::Tracks,
};
use crate::observe::{Drop, FlowId, Listening, Snapshot, Tally, UNNAMED, XDP};

/// So many flows are carried over a restart.
const MOST: usize = 1024;

/// What is said of the time before a restart at which more flows failed.
pub(super) const LEFT_OUT: &str =
    "more flows failed when the monitor was last stopped than its state file keeps";

/// What is kept of failing flows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Which counting the tallies are of, as in [`Snapshot::counting`].
    counting: Option<Arc<str>>,
    flows: Vec<CarriedFlow>,
    sessions: Vec<(FlowId, Followed)>,
    /// What waited for peers, or had before.
    pub listeners: Vec<Listening>,
    /// There were more flows.
    left_out: bool,
}

/// A flow whose attempts fail, or did a while ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedFlow {
    flow: FlowId,
    track: Track,
    counts: Counts,
}

/// What was counted of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    /// In countings that are over.
    before: Tally,
    /// In the one that goes on.
    now: Tally,
}

impl Carried {
    /// The peers of its flows.
    pub fn peers(&self) -> impl Iterator<Item = IpAddr> {
        self.flows.iter().map(|carried| carried.flow.peer)
    }
}

/// Goes on from an earlier run, and prepares for the next one.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    /// What an earlier run had counted of failing flows, and in which counting.
    earlier: BTreeMap<FlowId, Counts>,
    counting: Option<Arc<str>>,
    /// There were more such flows.
    pub(super) left_out: bool,
    now: Now,
}

/// The failing flows of a snapshot, and what was seen beside them.
#[derive(Debug, Default)]
pub(super) struct Now {
    counting: Option<Arc<str>>,
    listeners: Vec<Listening>,
    flows: BTreeMap<FlowId, Counts>,
    left_out: bool,
}

impl Now {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            counting: snapshot.counting.clone(),
            listeners: snapshot.listeners.clone(),
            ..Self::default()
        }
    }

    /// Keeps a flow for the next run.
    pub(super) fn keep(&mut self, flow: FlowId, snapshot: &Snapshot, carrier: &Carrier) {
        if self.flows.len() < MOST {
            self.flows.insert(flow, carrier.counts(flow, snapshot));
        } else {
            self.left_out = true;
        }
    }
}

impl Carrier {
    /// What an earlier run, which ended at a moment, handed over.
    pub(super) fn resume(carried: Option<Carried>, until: Timestamp) -> (Self, Tracks, Sessions) {
        // Versions before knew no failing flows: the counts have to tell of them.
        let failures_until = carried.as_ref().filter(|it| !it.left_out).map(|_| until);
        let Carried { counting, flows, sessions, listeners, left_out } =
            carried.unwrap_or_default();
        let mut tracks = Vec::new();
        let mut earlier = BTreeMap::new();
        for CarriedFlow { flow, track, counts } in flows {
            tracks.push((flow, track));
            earlier.insert(flow, counts);
        }
        let tracks = Tracks::resume(tracks, until, failures_until);
        let now = Now { listeners, ..Now::default() };
        let carrier = Self { earlier, counting, left_out, now };
        (carrier, tracks, Sessions::resume(sessions))
    }

    /// What the next run goes on with.
    pub(super) fn carried(&self, tracks: &Tracks, sessions: &Sessions) -> Carried {
        let Now { counting, listeners, flows, left_out } = &self.now;
        let flows = flows.iter().filter_map(|(flow, counts)| {
            let track = tracks.get(flow)?.carried();
            Some(CarriedFlow { flow: *flow, track, counts: counts.clone() })
        });
        Carried {
            counting: counting.clone(),
            flows: flows.collect(),
            sessions: sessions.carried(),
            listeners: listeners.clone(),
            left_out: *left_out,
        }
    }

    /// A snapshot was judged.
    pub(super) fn advance(&mut self, now: Now) {
        self.now = now;
    }

    /// Every flow of a snapshot, and those that it does not have.
    pub(super) fn flows<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = (FlowId, Tally)> + 'a {
        let now = snapshot.flows.iter().map(|(flow, tally)| {
            let tally = self.add(&flow, tally, snapshot);
            (flow, tally)
        });
        let gone = self.earlier.iter().filter(|(flow, _)| !snapshot.flows.has(**flow));
        now.chain(gone.map(|(flow, counts)| (*flow, counts.clone().sum())))
    }

    /// What was counted of a flow in all.
    pub(super) fn tally(&self, flow: FlowId, snapshot: &Snapshot) -> Option<Tally> {
        match snapshot.flows.get(flow) {
            Some(tally) => Some(self.add(&flow, tally, snapshot)),
            None => self.earlier.get(&flow).cloned().map(Counts::sum),
        }
    }

    /// What was counted in all of a flow that leaves the map.
    pub(super) fn remove(&mut self, flow: &FlowId, tally: &Tally, snapshot: &Snapshot) -> Tally {
        let tally = self.add(flow, tally.clone(), snapshot);
        self.earlier.remove(flow);
        tally
    }

    fn add(&self, flow: &FlowId, tally: Tally, snapshot: &Snapshot) -> Tally {
        match self.earlier.get(flow) {
            None => tally,
            Some(counts) if self.goes_on(snapshot) => {
                counts.before.clone().then(explained(tally, &counts.now))
            }
            Some(counts) => counts.clone().sum().then(tally),
        }
    }

    /// What was counted of a flow, for the next run.
    fn counts(&self, flow: FlowId, snapshot: &Snapshot) -> Counts {
        let now = snapshot.flows.get(flow).unwrap_or_default();
        match self.earlier.get(&flow).cloned() {
            None => Counts { before: Tally::default(), now },
            Some(counts) if self.goes_on(snapshot) => {
                Counts { now: explained(now, &counts.now), ..counts }
            }
            Some(counts) => Counts { before: counts.sum(), now },
        }
    }

    fn goes_on(&self, snapshot: &Snapshot) -> bool {
        self.counting.is_some() && self.counting == snapshot.counting
    }
}

impl Counts {
    /// Without the attempts that were open: they are followed no more.
    fn sum(self) -> Tally {
        self.before.then(self.now).then(Tally::default())
    }
}

/// The same with what an earlier run knew of drops, and the kernel does not tell.
fn explained(mut tally: Tally, earlier: &Tally) -> Tally {
    for drop in &mut tally.dropped {
        if let Some(known) = earlier.dropped.iter().find(|known| is_same(drop, known)) {
            drop.reason = Arc::clone(&known.reason);
            drop.netfilter = known.netfilter;
        }
    }
    tally
}

/// Whether nothing was dropped since.
fn is_same(drop: &Drop, known: &Drop) -> bool {
    let what = |it: &Drop| (it.received, it.opening, it.datagram, it.at_device, it.packets);
    let is_reason =
        drop.reason == known.reason || (&*drop.reason, &*known.reason) == (UNNAMED, XDP);
    is_reason && what(drop) == what(known)
}
