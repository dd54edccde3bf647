//! Handshakes that this host answers.

use super::*;
use crate::observe::{CONNECTION, Happened, Outcome};

fn agent() -> FlowId {
    flow(Side::Server, "10.20.0.7", 50051)
}

/// A monitor whose sockets tell which handshakes were completed.
fn with_sockets() -> Bench {
    let mut bench = Bench::new();
    let since = bench.now();
    bench.snapshot.coverage.push(Hook { hook: CONNECTION, interface: None, fault: None, since });
    bench
}

impl Bench {
    fn established(&mut self, times: u64) {
        let last = Some(self.now());
        self.flow(agent()).outcomes = vec![(Outcome::Established, Happened { times, last })];
    }

    /// A session that is open: its packets belong to no attempt.
    fn goes_on_beside(&mut self) {
        let wire = &mut self.flow(agent()).wire;
        wire.received.packets += 1;
        wire.transmitted.packets += 1;
    }

    /// The peer asks again and again, this host answers, and a session beside it goes on or not.
    fn ask(&mut self, seconds: u64, beside: bool) -> (Verdict, Option<Cause>) {
        for second in 0..seconds {
            if second.is_power_of_two() || second == 0 {
                self.receive(agent(), syn);
                self.transmit(agent(), syn_ack);
            }
            if beside {
                self.goes_on_beside();
            }
            self.assess();
            self.wait(1);
        }
        self.verdict("agent-50051")
    }
}

const LOST: (Verdict, Option<Cause>) = (Verdict::Blocked, Some(Cause::NoAnswer));

#[test]
fn answer_to_which_nothing_comes_back_is_no_success() {
    for mut bench in [Bench::new(), with_sockets()] {
        let began = bench.now();
        assert_eq!(bench.ask(5, false), LOST);
        let failing = &bench.judge("agent-50051").failing[0];
        assert_eq!((failing.failure.attempts, failing.failure.since), (4, began));
        bench.accept(agent());
        bench.established(1);
        assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    }
}

#[test]
fn acknowledgement_may_come_later() {
    let mut bench = Bench::new();
    bench.receive(agent(), syn);
    bench.transmit(agent(), syn_ack);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    bench.wait(1);
    bench.receive(agent(), data);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn what_goes_on_beside_hides_no_attempt() {
    for mut bench in [Bench::new(), with_sockets()] {
        bench.accept(agent());
        bench.established(1);
        assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
        bench.wait(2);
        bench.assess();
        assert_eq!(bench.ask(12, true), LOST);
        // The asker goes on after all.
        bench.receive(agent(), data);
        assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    }
}

#[test]
fn sockets_tell_of_what_crosses_no_device() {
    let mut bench = with_sockets();
    bench.assess();
    bench.wait(1);
    bench.established(1);
    // The wire was read before: it may show them a moment later.
    bench.assess();
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn handshake_that_the_sockets_told_before_the_wire_counts() {
    let mut bench = with_sockets();
    bench.receive(agent(), data);
    bench.established(1);
    bench.assess();
    bench.wait(1);
    bench.accept(agent());
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn scanner_that_answers_with_a_reset_used_nothing() {
    let mut bench = with_sockets();
    bench.receive(agent(), syn);
    bench.transmit(agent(), syn_ack);
    bench.receive(agent(), rst);
    let judgement = bench.judge("agent-50051");
    assert_eq!((judgement.verdict, judgement.last_success), (Verdict::Idle, None));
    assert_eq!(judgement.totals.attempts[&AttemptEnd::Probed], 1);
}

#[test]
fn scanner_ends_no_failure() {
    let mut bench = with_sockets();
    bench.receive(agent(), syn);
    bench.transmit(agent(), rst);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Refused);
    bench.wait(10);
    bench.receive(agent(), syn);
    bench.transmit(agent(), syn_ack);
    bench.receive(agent(), rst);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Refused);
}

#[test]
fn handshake_of_the_wire_needs_no_word_of_the_sockets() {
    let mut bench = with_sockets();
    bench.accept(agent());
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}
