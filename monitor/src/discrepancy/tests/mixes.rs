//! Flows of which some attempts succeed and others fail.

use super::*;
use crate::{
    discrepancy::Share,
    observe::{Drop, Happened, Outcome},
};

fn agent() -> FlowId {
    flow(Side::Server, "10.20.0.7", 50051)
}

impl Bench {
    fn works(&mut self) -> (Verdict, Option<Cause>) {
        self.accept(agent());
        self.verdict("agent-50051")
    }

    fn is_refused(&mut self) -> (Verdict, Option<Cause>) {
        self.receive(agent(), syn);
        self.transmit(agent(), rst);
        self.verdict("agent-50051")
    }

    /// So often refused, and then works.
    fn fails_in_turns(&mut self, times: usize) {
        for _ in 0..times {
            self.wait(10);
            self.is_refused();
            self.wait(10);
            self.works();
        }
    }

    fn share(&mut self) -> Option<Share> {
        self.judge("agent-50051").failing.first().and_then(|failing| failing.share)
    }
}

#[test]
fn a_fault_that_ends_is_over_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.works().0, Verdict::Ok);
    bench.wait(10);
    assert_eq!(bench.is_refused().0, Verdict::Refused);
    bench.wait(10);
    assert_eq!(bench.works().0, Verdict::Ok);
}

#[test]
fn failures_with_successes_between_are_a_share() {
    let mut bench = Bench::new();
    bench.assess();
    bench.fails_in_turns(3);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Degraded);
    assert_eq!(bench.share(), Some(Share { failed: 3, total: 6 }));
}

#[test]
fn a_share_ends_when_enough_succeed_and_none_fails_for_long_enough() {
    let mut bench = Bench::new();
    bench.fails_in_turns(2);
    for _ in 0..9 {
        bench.wait(60);
        assert_eq!(bench.verdict("agent-50051").0, Verdict::Degraded);
    }
    bench.wait(50);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Degraded, "only one has succeeded since");
    bench.works();
    assert_eq!(bench.works().0, Verdict::Ok);
}

#[test]
fn a_share_of_which_nothing_succeeds_any_more_fails_wholly() {
    let mut bench = Bench::new();
    bench.fails_in_turns(2);
    for _ in 0..4 {
        bench.wait(60);
        assert_eq!(bench.is_refused().0, Verdict::Degraded);
    }
    bench.wait(61);
    bench.is_refused();
    bench.wait(60);
    assert_eq!(bench.is_refused().0, Verdict::Refused);
}

/// This host's firewall drops so many more segments that ask, the last one from that port.
fn is_dropped(bench: &mut Bench, port: u16, segments: u64) {
    let now = bench.now();
    let dropped = &mut bench.flow(cluster()).dropped;
    let before = dropped.pop().map_or(0, |drop| drop.packets);
    dropped.push(Drop {
        reason: "NETFILTER_DROP".into(),
        opening: true,
        packets: before + segments,
        first: Some(now),
        last: Some(now),
        port,
        ..Drop::default()
    });
}

fn cluster() -> FlowId {
    flow(Side::Client, "10.20.0.7", 11113)
}

#[test]
fn attempts_that_never_leave_count_once_however_often_they_are_sent() {
    const FLOW: &str = "mssql-vdi-11113";
    let mut bench = Bench::new();
    bench.assess();
    is_dropped(&mut bench, 40_000, 1);
    assert_eq!(bench.verdict(FLOW).0, Verdict::Blocked);
    bench.wait(1);
    is_dropped(&mut bench, 40_000, 2);
    let failing = &bench.judge(FLOW).failing[0];
    assert_eq!((failing.share, failing.failure.attempts), (None, 3));
    bench.wait(5);
    bench.connect(cluster());
    assert_eq!(bench.verdict(FLOW).0, Verdict::Ok);
    // One segment is enough to notice the next one.
    bench.wait(5);
    is_dropped(&mut bench, 40_001, 1);
    let judgement = bench.judge(FLOW);
    assert_eq!(judgement.verdict, Verdict::Degraded);
    let failing = &judgement.failing[0];
    assert_eq!(failing.share, Some(Share { failed: 2, total: 3 }));
    assert_eq!(failing.failure.attempts, 1);
}

#[test]
fn an_attempt_that_was_given_up_before_a_success_is_not_counted_after_it() {
    let mut bench = Bench::new();
    bench.assess();
    bench.receive(agent(), syn);
    bench.wait(6);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Blocked);
    // It is still open when another one succeeds.
    let given_up = bench.flow(agent()).attempts.open.pop().unwrap();
    bench.accept(agent());
    bench.flow(agent()).attempts.open.push(given_up);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    bench.wait(10);
    bench.end_attempt(agent(), AttemptEnd::Unanswered);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    bench.is_refused();
    assert_eq!(bench.judge("agent-50051").failing[0].failure.attempts, 1);
}

#[test]
fn a_check_ends_no_failure_before_the_wire() {
    const FLOW: &str = "mssql-vdi-11113";
    let mut bench = Bench::new();
    bench.assess();
    is_dropped(&mut bench, 40_000, 1);
    assert_eq!(bench.verdict(FLOW).0, Verdict::Blocked);
    bench.wait(5);
    // The sockets have told of it before the wire.
    let last = Some(bench.now());
    let opened = Happened { times: 1, last };
    bench.flow(cluster()).outcomes = vec![(Outcome::Established, opened)];
    assert_eq!(bench.verdict(FLOW).0, Verdict::Blocked);
    bench.transmit(cluster(), syn);
    bench.receive(cluster(), syn_ack);
    bench.transmit(cluster(), rst);
    assert_eq!(bench.verdict(FLOW).0, Verdict::Blocked);
    assert_eq!(bench.judge(FLOW).totals.attempts[&AttemptEnd::Probed], 1);
}

#[test]
fn a_segment_on_its_way_to_the_device_hides_no_later_failure() {
    const FLOW: &str = "mssql-vdi-11113";
    let mut bench = Bench::new();
    bench.assess();
    bench.connect(cluster());
    // The wire was read before the sockets, and the next segment has left them in between.
    bench.flow(cluster()).sockets.transmitted.syn = 2;
    assert_eq!(bench.verdict(FLOW).0, Verdict::Ok);
    bench.wait(1);
    bench.transmit(cluster(), syn);
    bench.receive(cluster(), syn_ack);
    bench.transmit(cluster(), rst);
    assert_eq!(bench.verdict(FLOW).0, Verdict::Ok);
    bench.wait(10);
    is_dropped(&mut bench, 40_000, 1);
    let judgement = bench.judge(FLOW);
    assert_eq!(judgement.verdict, Verdict::Blocked);
    assert_eq!(judgement.failing[0].failure.attempts, 1);
}
