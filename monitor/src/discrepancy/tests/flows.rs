//! Which flows are whose, and what is counted for them.

use super::*;

#[test]
fn strangers_are_named() {
    let mut bench = Bench::new();
    for (side, peer, port, expected) in [
        (Side::Server, "10.99.0.1", 50051, Some(Cause::UnexpectedPeer)),
        (Side::Client, "10.20.0.7", 50051, Some(Cause::UnexpectedDirection)),
        (Side::Server, "10.20.0.5", 808, Some(Cause::LegacyPort)),
        (Side::Client, "10.99.0.1", 11113, None),
    ] {
        bench.flows.clear();
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
    bench.accept(agent);
    let tally = bench.flow(agent);
    tally.socket_received.packets = 7;
    tally.retransmitted.times = 3;
    bench.assess();
    let tally = bench.flows.remove(&agent).unwrap();
    bench.snapshot.evicted.push((agent, tally));
    assert_eq!(bench.judge("agent-50051").counts[&Some(0)].received.packets, 2);
    bench.snapshot.evicted.clear();
    bench.receive(agent, syn);
    bench.flow(agent).retransmitted.times = 1;
    let judgement = bench.judge("agent-50051");
    assert_eq!(judgement.counts[&Some(0)].received.packets, 3);
    assert_eq!(judgement.counts[&Some(0)].socket_received.packets, 7);
    assert_eq!(judgement.totals.retransmitted, 4);
}

#[test]
fn loopback_is_told_to_both_sides() {
    let mut bench = Bench::new();
    let mut own = flow(Side::Server, "10.20.0.7", 11113);
    own.loopback = true;
    bench.accept(own);
    let judgement = bench.judge("mssql-vdi-11113");
    assert_eq!(judgement.verdict, Verdict::Ok);
    let counts = judgement.counts[&Some(0)];
    assert_eq!((counts.transmitted.syn, counts.received.syn_ack), (1, 1));
}
