//! How long what was seen counts, and what was not seen.

use super::*;

#[test]
fn nobody_tried_is_idle() {
    assert_eq!(Bench::new().verdict("agent-50051"), (Verdict::Idle, None));
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
    bench.accept(backup);
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
    bench.accept(agent);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Unknown);
}

#[test]
fn overflow_of_the_flow_map_is_blindness_and_a_failure_is_not() {
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
fn map_that_has_room_again_hides_nothing_but_the_window_that_it_was_full_in() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.accept(agent);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    for lost in 1..=60 {
        bench.wait(60);
        bench.snapshot.lost.insert(Loss::FlowMapFull, lost);
        assert_eq!(bench.verdict("agent-50051").0, Verdict::Unknown);
    }
    bench.wait(60);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Unknown);
    bench.wait(1);
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Idle);
    // What is due within an hour may have come while the map was full.
    assert_eq!(bench.verdict("backup-32004").0, Verdict::Unknown);
    bench.wait(3600);
    assert_eq!(bench.verdict("backup-32004").0, Verdict::Missing);
}

#[test]
fn map_that_has_no_room_for_others_hides_nothing_of_peers_named_one_by_one() {
    let mut bench = Bench::new();
    bench.snapshot.entries = 13;
    bench.snapshot.lost.insert(Loss::FlowMapFull, 1);
    let said = bench.judge("mssql-vdi-11113");
    let reason = "the flow map had no room for new flows of peers that are not named one by one";
    assert_eq!((said.verdict, said.reason.as_deref()), (Verdict::Unknown, Some(reason)));
    // The portal is one address.
    assert_eq!(bench.verdict("agent-2548").0, Verdict::Idle);
    bench.snapshot.entries = 15;
    bench.snapshot.lost.insert(Loss::FlowMapFull, 2);
    assert_eq!(bench.verdict("agent-2548").0, Verdict::Unknown);
}

#[test]
fn clock_that_jumps_back_is_no_fault() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.accept(agent);
    bench.assess();
    bench.snapshot.taken = bench.now().checked_sub(24.hours()).unwrap();
    assert_eq!(bench.verdict("agent-50051").0, Verdict::Ok);
}
