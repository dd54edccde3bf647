//! The ledger on a clock that the test moves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::{Assessment, Cause, Judgement, Ledger, Verdict};
use crate::{
    config,
    expect::{Expectation, Names, expectations},
    observe::{Counters, FlowId, Hook, Loss, Side, Snapshot, Tally, Transport},
};

const CONFIG: &str = r#"
    [[system]]
    product = "ibm-backup-recovery"
    roles = ["ms-sql-server", "host"]
    peers.cluster = ["10.20.0.0/24"]

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
    snapshot: Snapshot,
}

impl Bench {
    fn new() -> Self {
        let started = "2026-01-01T00:00:00Z".parse().unwrap();
        Self {
            ledger: Ledger::new(started),
            expectations: expectations(&config::parse("test.toml", CONFIG).unwrap()),
            names: Names::new(),
            snapshot: Snapshot {
                taken: started,
                flows: BTreeMap::new(),
                evicted: Vec::new(),
                capacity: 16,
                lost: BTreeMap::new(),
                coverage: Vec::new(),
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
        self.snapshot.flows.entry(id).or_insert(Tally {
            received: Counters::ZERO,
            transmitted: Counters::ZERO,
            forwarded: 0,
            last_received: None,
            last_transmitted: None,
            interface: Some("eth0".to_owned()),
        })
    }

    fn receive(&mut self, id: FlowId, more: impl FnOnce(&mut Counters)) {
        let now = self.now();
        let tally = self.flow(id);
        tally.received.packets += 1;
        more(&mut tally.received);
        tally.last_received = Some(now);
    }

    fn transmit(&mut self, id: FlowId, more: impl FnOnce(&mut Counters)) {
        let now = self.now();
        let tally = self.flow(id);
        tally.transmitted.packets += 1;
        more(&mut tally.transmitted);
        tally.last_transmitted = Some(now);
    }

    fn assess(&mut self) -> Assessment {
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

#[test]
fn nobody_tried_is_idle() {
    assert_eq!(Bench::new().verdict("agent-50051"), (Verdict::Idle, None));
}

#[test]
fn answered_attempt_is_ok_until_the_window_ends() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    bench.wait(26 * 3600);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    bench.wait(1);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
}

#[test]
fn unanswered_attempt_is_blocked_after_the_grace_and_since_it_began() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.wait(10);
    let began = bench.now();
    bench.receive(agent, syn);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    bench.wait(1);
    bench.receive(agent, syn);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    bench.wait(2);
    let judgement = bench.judge("agent-50051");
    assert_eq!((judgement.verdict, judgement.cause), (Verdict::Blocked, Some(Cause::Undetermined)));
    assert_eq!(judgement.since, began);
    let (failing, failure, interface) = &judgement.failing[0];
    assert_eq!((*failing, failure.attempts), (agent, 2));
    assert_eq!(interface.as_deref(), Some("eth0"));
}

#[test]
fn own_attempt_without_an_answer_is_blocked_beyond_this_host() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.transmit(vdi, syn);
    bench.verdict("mssql-vdi-11113");
    bench.wait(3);
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Blocked, Some(Cause::NoAnswer)));
}

#[test]
fn reset_in_answer_is_refused_at_once() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.transmit(vdi, syn);
    bench.receive(vdi, rst);
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Refused, Some(Cause::RemoteRefused)));
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, rst);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Refused, Some(Cause::Undetermined)));
}

#[test]
fn reset_that_ends_an_open_connection_is_no_refusal() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    bench.verdict("agent-50051");
    bench.wait(1);
    bench.transmit(agent, rst);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn success_closes_a_failure() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.transmit(vdi, syn);
    bench.receive(vdi, rst);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Refused);
    bench.wait(60);
    bench.transmit(vdi, syn);
    bench.receive(vdi, syn_ack);
    let judgement = bench.judge("mssql-vdi-11113");
    assert_eq!((judgement.verdict, judgement.since), (Verdict::Ok, bench.now()));
}

#[test]
fn failure_stays_for_a_window_after_the_last_attempt() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.transmit(vdi, syn);
    bench.receive(vdi, rst);
    bench.verdict("mssql-vdi-11113");
    bench.wait(26 * 3600);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Refused);
    bench.wait(1);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Idle);
}

#[test]
fn one_failing_peer_fails_the_group() {
    let mut bench = Bench::new();
    let good = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(good, syn);
    bench.transmit(good, syn_ack);
    bench.receive(flow(Side::Server, "10.20.0.8", 50051), syn);
    bench.verdict("agent-50051");
    bench.wait(3);
    let judgement = bench.judge("agent-50051");
    assert_eq!(judgement.verdict, Verdict::Blocked);
    assert_eq!((judgement.failing.len(), judgement.peers_seen), (1, 2));
}

#[test]
fn open_connection_without_its_opening_is_ok_when_both_ends_talk() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, data);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Idle);
    bench.wait(1);
    bench.receive(agent, data);
    bench.transmit(agent, data);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
}

#[test]
fn open_connection_does_not_hide_that_new_ones_fail() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    bench.verdict("agent-50051");
    for _ in 0..4 {
        bench.wait(1);
        bench.receive(agent, syn);
        bench.transmit(agent, data);
        bench.verdict("agent-50051");
    }
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Blocked);
}

#[test]
fn due_and_never_tried_is_missing_once_it_was_watched_for_the_window() {
    let mut bench = Bench::new();
    bench.wait(3599);
    let judgement = bench.judge("backup-32004");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert_eq!(judgement.reason.as_deref(), Some("watched for less than 1h"));
    bench.wait(1);
    assert_eq!(bench.verdict("backup-32004"), (Verdict::Missing, Some(Cause::NeverConnected)));
    let backup = flow(Side::Server, "10.30.0.9", 32004);
    bench.receive(backup, syn);
    bench.transmit(backup, syn_ack);
    assert_eq!(bench.verdict("backup-32004"), (Verdict::Ok, None));
}

#[test]
fn blind_window_is_unknown() {
    let mut bench = Bench::new();
    bench.snapshot.coverage.push(Hook {
        hook: "tc-ingress",
        interface: Some("eth1".to_owned()),
        fault: Some("no".to_owned()),
        since: bench.now(),
    });
    let judgement = bench.judge("agent-50051");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert_eq!(judgement.reason.as_deref(), Some("not watched: eth1"));
    // What is seen after the blind time is seen.
    bench.snapshot.coverage.clear();
    bench.wait(1);
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Unknown);
}

#[test]
fn overflow_of_the_flow_map_is_blindness_and_a_failure_is_none() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, rst);
    bench.snapshot.lost.insert(Loss::FlowMapFull, 1);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Refused);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Unknown);
    bench.wait(26 * 3600 + 1);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Idle);
}

#[test]
fn datagrams_one_way_are_unknown_and_answered_ones_ok() {
    let mut bench = Bench::new();
    let mut scan = flow(Side::Server, "10.30.0.9", 32006);
    scan.transport = Transport::Udp;
    bench.receive(scan, data);
    assert_eq!(bench.verdict("scan-32006").0, Verdict::Unknown);
    bench.transmit(scan, data);
    assert_eq!(bench.verdict("scan-32006").0, Verdict::Ok);
}

#[test]
fn strangers_are_named() {
    let mut bench = Bench::new();
    for (side, peer, port, expected) in [
        (Side::Server, "10.99.0.1", 50051, Some(Cause::UnexpectedPeer)),
        (Side::Client, "10.20.0.7", 50051, Some(Cause::UnexpectedDirection)),
        (Side::Server, "10.20.0.5", 808, Some(Cause::LegacyPort)),
        (Side::Client, "10.99.0.1", 11113, None),
    ] {
        bench.snapshot.flows.clear();
        let stranger = flow(side, peer, port);
        bench.receive(stranger, data);
        bench.transmit(stranger, syn);
        let assessment = bench.assess();
        let causes: Vec<Cause> = assessment.unexpected.iter().map(|u| u.cause).collect();
        assert_eq!(causes, Vec::from_iter(expected), "{stranger}");
    }
}

#[test]
fn what_the_host_only_passes_on_is_not_its_own() {
    let mut bench = Bench::new();
    let passing = flow(Side::Client, "10.20.0.7", 50051);
    bench.receive(passing, data);
    bench.transmit(passing, syn);
    bench.flow(passing).forwarded = 1;
    assert_eq!(bench.assess().unexpected_total, 0);
    bench.transmit(passing, data);
    assert_eq!(bench.assess().unexpected_total, 1);
}

#[test]
fn evicted_flows_stay_in_the_totals() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    bench.assess();
    let tally = bench.snapshot.flows.remove(&agent).unwrap();
    bench.snapshot.evicted.push((agent, tally));
    assert_eq!(bench.judge("agent-50051").counts[&Some(0)].received.packets, 1);
    bench.snapshot.evicted.clear();
    bench.receive(agent, syn);
    assert_eq!(bench.judge("agent-50051").counts[&Some(0)].received.packets, 2);
}

#[test]
fn loopback_is_told_to_both_sides() {
    let mut bench = Bench::new();
    let mut own = flow(Side::Server, "10.20.0.7", 11113);
    own.loopback = true;
    bench.receive(own, syn);
    bench.transmit(own, syn_ack);
    let judgement = bench.judge("mssql-vdi-11113");
    assert_eq!(judgement.verdict, Verdict::Ok);
    let counts = judgement.counts[&Some(0)];
    assert_eq!((counts.transmitted.syn, counts.received.syn_ack), (1, 1));
}

#[test]
fn clock_that_jumps_back_is_no_fault() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.transmit(agent, syn_ack);
    bench.assess();
    bench.snapshot.taken = bench.now().checked_sub(24.hours()).unwrap();
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
}
