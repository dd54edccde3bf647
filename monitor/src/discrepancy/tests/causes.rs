//! What drops at this host prove, and what they do not.

use super::*;
use crate::observe::{
    CONNECTION, Drop, Happened, Listening, Netfilter, REFUSED_UNSENT, StrayAnswer,
};

fn agent() -> FlowId {
    flow(Side::Server, "10.20.0.7", 50051)
}

fn vdi() -> FlowId {
    flow(Side::Client, "10.20.0.7", 11113)
}

fn opening(bench: &Bench, reason: &str) -> Drop {
    Drop {
        reason: reason.into(),
        received: true,
        opening: true,
        packets: 1,
        first: Some(bench.now()),
        last: Some(bench.now()),
        interface: Some("eth0".into()),
        own: Some([10, 20, 0, 1].into()),
        ..Drop::default()
    }
}

/// A peer asks, and this host drops it.
fn asked(bench: &mut Bench, drop: Drop) -> (Verdict, Option<Cause>) {
    bench.receive(agent(), syn);
    bench.flow(agent()).dropped = vec![drop];
    bench.verdict("agent-50051")
}

/// The cause of an attempt that nothing took, with these listeners.
fn refused_beside(listeners: impl Fn(Timestamp) -> Vec<Listening>) -> Option<Cause> {
    let mut bench = Bench::new();
    bench.wait(10);
    bench.snapshot.listeners = listeners(bench.now());
    let drop = opening(&bench, "NO_SOCKET");
    bench.transmit(agent(), rst);
    asked(&mut bench, drop).1
}

#[test]
fn a_reason_names_who_drops_at_once() {
    for (reason, cause) in [
        ("XDP", Cause::XdpDrop),
        ("SOCKET_FILTER", Cause::ForbiddenHere),
        ("SECURITY_HOOK", Cause::ForbiddenHere),
        ("XFRM_POLICY", Cause::IpsecPolicy),
    ] {
        let mut bench = Bench::new();
        let drop = opening(&bench, reason);
        assert_eq!(asked(&mut bench, drop), (Verdict::Blocked, Some(cause)), "{reason}");
    }
}

#[test]
fn what_can_go_well_the_next_time_is_waited_for() {
    for (reason, cause) in [
        ("TCP_INVALID_SYN", Cause::OldSession),
        ("TCP_CSUM", Cause::BadChecksum),
        ("IP_CSUM", Cause::BadChecksum),
    ] {
        let mut bench = Bench::new();
        let drop = opening(&bench, reason);
        assert_eq!(asked(&mut bench, drop), (Verdict::Idle, None), "{reason}");
        bench.wait(5);
        assert_eq!(bench.verdict("agent-50051"), (Verdict::Blocked, Some(cause)), "{reason}");
    }
}

#[test]
fn a_drop_of_netfilter_is_that_of_its_rules_where_nothing_else_of_it_can_be() {
    let blocked_after = |netfilter| {
        let mut bench = Bench::new();
        let drop = Drop { netfilter, ..opening(&bench, "NETFILTER_DROP") };
        asked(&mut bench, drop);
        bench.wait(5);
        bench.verdict("agent-50051").1
    };
    assert_eq!(blocked_after(None), Some(Cause::LocalFirewallIn));
    assert_eq!(blocked_after(Some(Netfilter::TableFull)), Some(Cause::ConnectionTableFull));
    assert_eq!(blocked_after(Some(Netfilter::Unclear)), Some(Cause::Undetermined));
}

#[test]
fn last_segment_of_a_handshake_meets_a_full_queue() {
    let mut bench = Bench::new();
    let since = bench.now();
    bench.snapshot.coverage.push(Hook { hook: CONNECTION, interface: None, fault: None, since });
    bench.receive(agent(), syn);
    bench.transmit(agent(), syn_ack);
    bench.receive(agent(), data);
    let drop = Drop { opening: false, ..opening(&bench, "TCP_LISTEN_OVERFLOW") };
    bench.flow(agent()).dropped = vec![drop];
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
    // The peer takes it for open, and asks for another.
    bench.receive(agent(), syn);
    bench.wait(5);
    let said = (Verdict::Blocked, Some(Cause::AcceptQueueFull));
    assert_eq!(bench.verdict("agent-50051"), said);
}

#[test]
fn nothing_listened() {
    assert_eq!(refused_beside(|_| vec![]), Some(Cause::NoListener));
    let other_port = |_| vec![Listening::tcp("127.0.0.1:50052")];
    assert_eq!(refused_beside(other_port), Some(Cause::NoListener));
    // It began, or ended, when the attempt was over or before it.
    let gone = |now: Timestamp| {
        vec![Listening { until: Some(now - 2.seconds()), ..Listening::tcp("127.0.0.1:50051") }]
    };
    assert_eq!(refused_beside(gone), Some(Cause::NoListener));
    let later = |now: Timestamp| {
        vec![Listening { after: Some(now + 1.seconds()), ..Listening::tcp("127.0.0.1:50051") }]
    };
    assert_eq!(refused_beside(later), Some(Cause::NoListener));
}

#[test]
fn what_listened_was_not_for_the_peer() {
    let elsewhere = [
        Listening::tcp("127.0.0.1:50051"),
        Listening::tcp("10.20.0.2:50051"),
        Listening::tcp("[fd00:20::1]:50051"),
        Listening { only_ipv6: true, ..Listening::tcp("[::]:50051") },
        Listening { device: Some("eth1".into()), ..Listening::tcp("0.0.0.0:50051") },
    ];
    for listener in elsewhere {
        let said = refused_beside(|_| vec![listener.clone()]);
        assert_eq!(said, Some(Cause::WrongBind), "{listener:?}");
        // It stands when that is gone: it is about the attempt.
        let gone = |now| vec![Listening { until: Some(now), ..listener.clone() }];
        assert_eq!(refused_beside(gone), Some(Cause::WrongBind), "{listener:?}");
    }
}

#[test]
fn what_would_take_the_next_attempt_is_named() {
    let there = [
        Listening::tcp("10.20.0.1:50051"),
        Listening::tcp("0.0.0.0:50051"),
        Listening::tcp("[::]:50051"),
        Listening { device: Some("eth0".into()), ..Listening::tcp("0.0.0.0:50051") },
    ];
    for listener in there {
        let said = refused_beside(|_| vec![Listening::tcp("127.0.0.1:50051"), listener.clone()]);
        assert_eq!(said, Some(Cause::ListensAgain), "{listener:?}");
        let gone = |now| vec![Listening { until: Some(now), ..listener.clone() }];
        assert_eq!(refused_beside(gone), Some(Cause::NoListener), "{listener:?}");
    }
}

#[test]
fn attempt_that_has_not_begun_by_the_next_snapshot_was_refused() {
    let mut bench = Bench::new();
    let out = Route::Out { interface: Some("eth0".into()), gateway: None };
    bench.snapshot.routes.insert(vdi().peer, out);
    let last = Some(bench.now());
    bench.flow(vdi()).not_begun = Happened { times: 1, last };
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
    bench.wait(1);
    let judgement = bench.judge("mssql-vdi-11113");
    let said = (judgement.verdict, judgement.cause);
    assert_eq!(said, (Verdict::Blocked, Some(Cause::Undetermined)));
    let failure = judgement.failing[0].failure;
    let error = REFUSED_UNSENT;
    assert_eq!(
        (failure.attempt, failure.attempts),
        (crate::discrepancy::Attempt::NotSent { error }, 1)
    );
    // One that was only beginning.
    let mut bench = Bench::new();
    bench.flow(vdi()).not_begun = Happened { times: 1, last };
    bench.verdict("mssql-vdi-11113");
    bench.wait(1);
    bench.flow(vdi()).not_begun = Happened::default();
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
}

#[test]
fn refusal_of_an_earlier_run_is_not_told_again() {
    let mut bench = Bench::new();
    bench.wait(60);
    let last = Some(bench.now() - 60.seconds());
    bench.flow(vdi()).not_begun = Happened { times: 5, last };
    bench.verdict("mssql-vdi-11113");
    bench.wait(1);
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
}

#[test]
fn datagram_that_the_firewall_drops_is_not_refused_because_an_earlier_one_was() {
    let mut bench = Bench::new();
    let scan = FlowId { transport: Transport::Udp, ..flow(Side::Server, "10.30.0.9", 32006) };
    let drop =
        |bench: &Bench, reason| Drop { opening: false, datagram: true, ..opening(bench, reason) };
    bench.receive(scan, data);
    bench.flow(scan).dropped = vec![drop(&bench, "NO_SOCKET")];
    bench.icmp(scan, IcmpKind::PortUnreachable, false);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Refused, Some(Cause::NoListener)));
    bench.wait(10);
    bench.receive(scan, data);
    let firewall = drop(&bench, "NETFILTER_DROP");
    bench.flow(scan).dropped.push(firewall);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Blocked, Some(Cause::LocalFirewallIn)));
}

#[test]
fn answer_from_another_address_than_was_asked_is_named() {
    let mut bench = Bench::new();
    bench.receive(agent(), syn);
    let at = bench.now();
    let stray = |from: [u8; 4], port| StrayAnswer { at, from: from.into(), port };
    let own = [10, 20, 0, 1];
    bench.wait(5);
    for (answer, cause) in [
        (stray([10, 20, 0, 9], 40_000), Cause::AnsweredFromAnotherAddress),
        (stray([10, 20, 0, 9], 40_001), Cause::Undetermined),
        (stray(own, 40_000), Cause::Undetermined),
    ] {
        bench.flow(agent()).attempts.odd.stray = Some(answer);
        assert_eq!(bench.verdict("agent-50051"), (Verdict::Blocked, Some(cause)));
    }
}
