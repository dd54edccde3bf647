//! What attempts to connect come to.

use super::*;

#[test]
fn answered_attempt_is_ok_until_the_window_ends() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.accept(agent);
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
    bench.wait(4);
    let judgement = bench.judge("agent-50051");
    assert_eq!((judgement.verdict, judgement.cause), (Verdict::Blocked, Some(Cause::Undetermined)));
    assert_eq!(judgement.since, began);
    let Failing { flow: failing, failure, interface, .. } = &judgement.failing[0];
    assert_eq!((*failing, failure.attempts), (agent, 2));
    assert_eq!(interface.as_deref(), Some("eth0"));
}

#[test]
fn own_attempt_without_an_answer_is_blocked_beyond_this_host() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.transmit(vdi, syn);
    bench.verdict("mssql-vdi-11113");
    bench.wait(5);
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Blocked, Some(Cause::NoAnswer)));
}

#[test]
fn flow_with_attempts_that_were_not_followed_is_unknown_until_the_next_success() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    // In an earlier run, which said so.
    bench.flow(agent).attempts.odd.not_followed = 1;
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    bench.wait(1);
    bench.flow(agent).attempts.odd.not_followed = 2;
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Unknown, None));
    bench.wait(60);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Unknown, None));
    bench.accept(agent);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
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
    bench.accept(agent);
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
    bench.connect(vdi);
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
    bench.accept(good);
    bench.receive(flow(Side::Server, "10.20.0.8", 50051), syn);
    bench.verdict("agent-50051");
    bench.wait(5);
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
    bench.accept(agent);
    bench.verdict("agent-50051");
    for _ in 0..6 {
        bench.wait(1);
        bench.receive(agent, syn);
        bench.transmit(agent, data);
        bench.verdict("agent-50051");
    }
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Blocked);
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
fn attempts_that_could_still_be_answered_count_as_evidence() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.assess();
    bench.wait(5);
    bench.assess();
    bench.receive(agent, syn);
    let failure = bench.judge("agent-50051").failing[0].failure;
    assert_eq!((failure.attempts, failure.last), (2, bench.now()));
}

/// As kernels before 5.17 tell it.
#[test]
fn attempts_that_are_dropped_without_a_reason_fail_without_a_cause_and_count_once() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    let drop = |bench: &mut Bench, packets| {
        let last = Some(bench.now());
        bench.flow(vdi).dropped = vec![crate::observe::Drop {
            reason: crate::observe::UNTOLD.into(),
            received: false,
            opening: true,
            datagram: false,
            packets,
            first: last,
            last,
            interface: None,
            port: 40_000,
            ..crate::observe::Drop::default()
        }];
    };
    let failed = |bench: &mut Bench| {
        bench.verdict("mssql-vdi-11113");
        bench.wait(5);
        let judgement = bench.judge("mssql-vdi-11113");
        let said = (judgement.verdict, judgement.cause);
        assert_eq!(said, (Verdict::Blocked, Some(Cause::Undetermined)));
        judgement.failing[0].failure.attempts
    };
    // Before they leave the socket.
    drop(&mut bench, 2);
    assert_eq!(failed(&mut bench), 2);
    // After one has left it, and before it reaches the device.
    bench.flow(vdi).sockets.transmitted.syn = 1;
    drop(&mut bench, 3);
    assert_eq!(failed(&mut bench), 3);
}

#[test]
fn clock_that_is_set_far_ahead_and_back_forgets_no_failure() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.assess();
    bench.wait(5);
    let before = bench.judge("agent-50051");
    assert_eq!(before.verdict, Verdict::Blocked);
    let set = |bench: &mut Bench, seconds: i64| {
        bench.ledger.set_clock(SignedDuration::from_secs(seconds));
        bench.wait(seconds + 1);
        bench.ledger.wake(bench.now());
        // Times of the kernel's timer are told by their age.
        for open in bench.flows.values_mut().flat_map(|tally| &mut tally.attempts.open) {
            open.began += SignedDuration::from_secs(seconds);
            open.last += SignedDuration::from_secs(seconds);
        }
    };
    set(&mut bench, 30 * 3600);
    let ahead = bench.judge("agent-50051");
    assert_eq!(ahead.verdict, Verdict::Blocked);
    assert_eq!(ahead.since, before.since + SignedDuration::from_hours(30));
    // What begins while it is ahead is decided in its time when it is back.
    let other = flow(Side::Server, "10.20.0.8", 50051);
    bench.receive(other, syn);
    bench.assess();
    set(&mut bench, -30 * 3600);
    bench.flow(other).wire.last_received = Some(bench.now() - SignedDuration::from_secs(1));
    bench.assess();
    bench.wait(4);
    let back = bench.judge("agent-50051");
    assert_eq!((back.verdict, back.since), (Verdict::Blocked, before.since));
    assert_eq!(back.failing.len(), 2);
    // It ends as ever.
    bench.wait(26 * 3600);
    bench.ledger.wake(bench.now());
    assert_ne!(bench.verdict("agent-50051").0, Verdict::Blocked);
}
