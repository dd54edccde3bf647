//! The ledger on a clock that the test moves.

mod answers;
mod attempts;
mod causes;
mod flows;
mod handshakes;
mod icmp;
mod mixes;
mod moves;
mod restarts;
mod routes;
mod rules;
mod runs;
mod scans;
mod schedules;
mod sessions;
mod ways;
mod windows;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::{Assessment, Cause, Failing, Judgement, Ledger, Memory, Verdict};
use crate::{
    config,
    expect::{Expectation, Names, expectations},
    observe::{
        AttemptEnd, Counters, Ended, FlowId, Flows, Hook, IcmpErrors, IcmpKind, Loss, OpenAttempt,
        Route, Side, Snapshot, Tally, Transport, Wire,
    },
};

const CONFIG: &str = r#"
    [[system]]
    product = "ibm-backup-recovery"
    roles = ["ms-sql-server", "host"]
    peers.cluster = ["10.20.0.0/24"]
    [[system.expect]]
    flow = "agent-*"
    within = "never"

    [[system]]
    product = "ibm-cloud-backup"
    roles = ["agent"]
    scenario = "commercial"
    peers.portal = ["10.20.0.5"]
    peers.central-control = ["10.20.0.5"]

    [[system]]
    product = "gigavault-storage"
    roles = ["server"]
    sections = ["tcp_port_32004", "udp_port_32006"]
    peers.client = ["10.30.0.0/24"]
    [[system.expect]]
    flow = "backup-*"
    within = "1h"
"#;

/// A monitor whose time and counts the test sets.
struct Bench {
    ledger: Ledger,
    expectations: Vec<Expectation>,
    names: Names,
    flows: BTreeMap<FlowId, Tally>,
    snapshot: Snapshot,
}

impl Bench {
    fn new() -> Self {
        let started = "2026-01-01T00:00:00Z".parse().unwrap();
        Self {
            ledger: Ledger::new(started),
            expectations: expectations(&config::parse("test.toml", CONFIG).unwrap()),
            names: Names::new(),
            flows: BTreeMap::new(),
            snapshot: Snapshot {
                counting: Some("first".into()),
                taken: started,
                flows: Flows::default(),
                evicted: Vec::new(),
                entries: 16,
                capacity: 16,
                lost: BTreeMap::new(),
                coverage: Vec::new(),
                listeners: Vec::new(),
                routes: BTreeMap::new(),
                sessions: None,
                sessions_left_out: 0,
                interface_overruns: 0,
            },
        }
    }

    fn now(&self) -> Timestamp {
        self.snapshot.taken
    }

    fn wait(&mut self, seconds: i64) {
        self.snapshot.taken += SignedDuration::from_secs(seconds);
    }

    fn flow(&mut self, id: FlowId) -> &mut Tally {
        self.flows.entry(id).or_insert_with(|| {
            let wire = Wire { interface: Some("eth0".into()), ..Wire::default() };
            Tally { wire, ..Tally::default() }
        })
    }

    fn receive(&mut self, id: FlowId, more: impl Fn(&mut Counters)) {
        let now = self.now();
        let wire = &mut self.flow(id).wire;
        wire.received.packets += 1;
        more(&mut wire.received);
        wire.last_received = Some(now);
        self.follow(id, id.side == Side::Server, more);
    }

    fn transmit(&mut self, id: FlowId, more: impl Fn(&mut Counters)) {
        let now = self.now();
        let wire = &mut self.flow(id).wire;
        wire.transmitted.packets += 1;
        more(&mut wire.transmitted);
        wire.last_transmitted = Some(now);
        self.follow(id, id.side == Side::Client, more);
    }

    /// What the wire shows of the flow's attempt, of which there is one at a time.
    fn follow(&mut self, id: FlowId, to_service: bool, kind: impl Fn(&mut Counters)) {
        if id.transport == Transport::Udp {
            return;
        }
        let now = self.now();
        let mut segment = Counters::ZERO;
        kind(&mut segment);
        let attempts = &mut self.flow(id).attempts;
        let Some(open) = attempts.open.first_mut() else {
            if to_service && segment.syn > 0 {
                attempts.open.push(OpenAttempt {
                    own: [10, 20, 0, 1].into(),
                    port: 40_000,
                    began: now,
                    last: now,
                    segments: 1,
                    answered: None,
                    acknowledged: None,
                });
            }
            return;
        };
        let end = match (to_service, segment) {
            (true, Counters { syn: 1, .. }) => {
                (open.last, open.segments) = (now, open.segments + 1);
                return;
            }
            (false, Counters { syn_ack: 1, .. }) => {
                open.answered.get_or_insert(now);
                return;
            }
            (false, Counters { rst: 1, .. }) => AttemptEnd::Refused,
            (true, Counters { rst: 1, .. }) if open.answered.is_some() => AttemptEnd::Probed,
            (true, Counters { rst: 0, .. }) if open.answered.is_some() => AttemptEnd::Completed,
            _ => return,
        };
        self.end_attempt(id, end);
    }

    fn end_attempt(&mut self, id: FlowId, end: AttemptEnd) {
        let now = self.now();
        let attempts = &mut self.flow(id).attempts;
        let open = attempts.open.remove(0);
        let before = attempts.ended(end);
        attempts.ended.retain(|(other, _)| *other != end);
        let ended = Ended {
            times: before.times + 1,
            segments: before.segments + open.segments,
            began: Some(open.began),
            last: Some(now),
        };
        attempts.ended.push((end, ended));
    }

    /// The peer connects to a service of this host.
    fn accept(&mut self, id: FlowId) {
        self.receive(id, syn);
        self.transmit(id, syn_ack);
        self.receive(id, data);
    }

    /// This host connects to a service.
    fn connect(&mut self, id: FlowId) {
        self.transmit(id, syn);
        self.receive(id, syn_ack);
        self.transmit(id, data);
    }

    fn assess(&mut self) -> Assessment {
        self.snapshot.flows = self.flows.clone().into_iter().collect();
        self.ledger.assess(&self.snapshot, &self.expectations, &self.names)
    }

    fn judge(&mut self, flow: &str) -> Judgement {
        let index = self.expectations.iter().rposition(|e| e.key.flow == flow).unwrap();
        self.assess().judgements.swap_remove(index).unwrap()
    }

    fn verdict(&mut self, flow: &str) -> (Verdict, Option<Cause>) {
        let judgement = self.judge(flow);
        (judgement.verdict, judgement.cause)
    }
}

fn flow(side: Side, peer: &str, service_port: u16) -> FlowId {
    let peer = peer.parse().unwrap();
    FlowId { service_port, transport: Transport::Tcp, side, loopback: false, peer }
}

fn syn(counters: &mut Counters) {
    counters.syn += 1;
}

fn syn_ack(counters: &mut Counters) {
    counters.syn_ack += 1;
}

fn rst(counters: &mut Counters) {
    counters.rst += 1;
}

fn data(_: &mut Counters) {}
