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

    /// The peer asks again and again, this host answers, and a session beside it goes on or not.
    fn ask(&mut self, seconds: u64, beside: bool) -> (Verdict, Option<Cause>) {
        for second in 0..seconds {
            if second.is_power_of_two() || second == 0 {
                self.receive(agent(), syn);
                self.transmit(agent(), syn_ack);
            }
            if beside {
                self.receive(agent(), data);
                self.transmit(agent(), data);
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
        assert_eq!(bench.ask(3, false), LOST);
        let failing = &bench.judge("agent-50051").failing[0];
        assert_eq!((failing.failure.attempts, failing.failure.since), (3, began));
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
fn sockets_tell_handshakes_from_what_goes_on_beside() {
    let mut bench = with_sockets();
    bench.established(1);
    bench.accept(agent());
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    bench.wait(2);
    bench.assess();
    assert_eq!(bench.ask(12, true), LOST);
    // A handshake that is completed beside the others closes it.
    bench.accept(agent());
    bench.established(2);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn without_the_sockets_it_is_not_said_what_the_wire_does_not_show() {
    let mut bench = Bench::new();
    bench.accept(agent());
    bench.assess();
    assert_eq!(bench.ask(12, true), (Verdict::Ok, None));
    // The same with what the host only passes on: its sockets know nothing of it.
    let mut bench = with_sockets();
    bench.flow(agent()).wire.forwarded = 1;
    assert_eq!(bench.ask(12, true), (Verdict::Ok, None));
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
fn scanner_that_answers_with_a_reset_was_answered() {
    let mut bench = with_sockets();
    bench.receive(agent(), syn);
    bench.transmit(agent(), syn_ack);
    bench.receive(agent(), rst);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}

#[test]
fn service_that_waits_for_data_before_it_accepts_was_reached() {
    let mut bench = with_sockets();
    bench.accept(agent());
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    bench.wait(3);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
}
