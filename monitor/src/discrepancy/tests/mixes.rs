//! Flows of which some attempts succeed and others fail.

use super::*;
use crate::discrepancy::Share;

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
