//! Open sessions that stop working, and those that only look like it.

use std::net::SocketAddr;

use super::*;
use crate::{
    discrepancy::Stuck,
    observe::{Drop, Session},
};

const MSS: u32 = 1448;

/// A client of this host in an open session, whose last word was 100 bytes.
fn vdi() -> Session {
    Session {
        flow: flow(Side::Client, "10.20.0.7", 11113),
        local: "10.20.0.1:40000".parse::<SocketAddr>().unwrap(),
        remote: "10.20.0.7:11113".parse::<SocketAddr>().unwrap(),
        retransmissions: 0,
        timeout: Some(SignedDuration::from_millis(200)),
        unacknowledged: 0,
        segments: 0,
        arrived: 0,
        acknowledged: 100,
        heard: SignedDuration::ZERO,
        sent: SignedDuration::ZERO,
        window: 60_000,
        mss: MSS,
    }
}

/// The same, after data was sent that many times again, and so long after the peer was last heard.
fn unanswered(times: u8, heard: i64) -> Session {
    let heard = SignedDuration::from_secs(heard);
    Session { retransmissions: times, unacknowledged: 100, segments: 1, heard, ..vdi() }
}

/// A segment of an open session that the firewall drops.
fn dropped(session: &Session, packets: u64, first: Timestamp, last: Timestamp) -> Drop {
    Drop {
        reason: "NETFILTER_DROP".into(),
        received: true,
        opening: false,
        datagram: false,
        packets,
        first: Some(first),
        last: Some(last),
        interface: None,
        port: session.port(),
        ..Drop::default()
    }
}

/// A monitor that has seen the session work.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.connect(vdi().flow);
    assert_eq!(bench.look(vdi()), OK);
    bench.wait(600);
    bench
}

const OK: (Verdict, Option<Cause>) = (Verdict::Ok, None);

const fn degraded(cause: Cause) -> (Verdict, Option<Cause>) {
    (Verdict::Degraded, Some(cause))
}

impl Bench {
    fn look(&mut self, session: Session) -> (Verdict, Option<Cause>) {
        self.snapshot.sessions = Some(vec![session]);
        self.verdict("mssql-vdi-11113")
    }

    fn stuck(&mut self) -> Stuck {
        self.judge("mssql-vdi-11113").failing[0].sessions[0]
    }
}

#[test]
fn data_after_a_silence_that_nobody_acknowledges_is_an_interruption() {
    let mut bench = bench();
    // Five timeouts of 0.2, 0.4, 0.8, 1.6 and 3.2 s.
    assert_eq!(bench.look(unanswered(5, 300)), OK);
    assert!(bench.ledger.follows_sessions());
    let began = bench.now() - SignedDuration::from_millis(6200);
    bench.wait(3);
    assert_eq!(bench.look(unanswered(5, 303)), OK);
    bench.wait(1);
    assert_eq!(bench.look(unanswered(6, 304)), degraded(Cause::SessionInterrupted));
    let stuck = bench.stuck();
    // One timeout more is not taken for silence.
    assert_eq!((stuck.since, stuck.quiet), (began, SignedDuration::from_millis(293_600)));
    assert_eq!((stuck.retransmissions, stuck.is_open), (6, true));
    assert_eq!(bench.judge("mssql-vdi-11113").since, began);
}

#[test]
fn without_a_silence_before_the_peer_is_gone() {
    let mut bench = bench();
    bench.look(unanswered(5, 7));
    bench.wait(9);
    assert_eq!(bench.look(unanswered(6, 16)), degraded(Cause::NoAnswer));
}

#[test]
fn full_segments_are_stalled_if_the_path_let_none_through() {
    for (acknowledged, unacknowledged, arrived, cause) in [
        (100, 10 * MSS, 0, Cause::Stalled),
        (100, 4 * MSS, 1, Cause::Stalled),
        (100, 9, 0, Cause::NoAnswer),
        (u64::from(10 * MSS), 10 * MSS, 0, Cause::NoAnswer),
        (100, 10 * MSS, 5, Cause::NoAnswer),
    ] {
        let mut bench = bench();
        let segments = unacknowledged.div_ceil(MSS);
        let full = Session { unacknowledged, segments, arrived, acknowledged, ..unanswered(6, 13) };
        assert_eq!(bench.look(full), degraded(cause), "{full:?}");
    }
}

#[test]
fn packets_that_are_too_big_name_the_mtu() {
    let mut bench = bench();
    let full = Session { unacknowledged: 10 * MSS, segments: 10, ..unanswered(6, 13) };
    let now = bench.now();
    let drop = Drop { reason: "PKT_TOO_BIG".into(), ..dropped(&full, 1, now, now) };
    bench.flow(full.flow).dropped.push(drop);
    assert_eq!(bench.look(full), degraded(Cause::Mtu));
}

#[test]
fn drops_without_a_reason_leave_the_cause_open() {
    for (drop_of, cause) in [(0, Cause::Undetermined), (1, Cause::NoAnswer)] {
        let mut bench = bench();
        let session = unanswered(6, 16);
        let now = bench.now();
        let drop = Drop { reason: crate::observe::UNTOLD.into(), ..dropped(&session, 1, now, now) };
        bench.flow(session.flow).dropped.push(Drop { port: drop.port + drop_of, ..drop });
        bench.look(unanswered(5, 7));
        bench.wait(9);
        assert_eq!(bench.look(session), degraded(cause));
    }
}

#[test]
fn nothing_opens_where_the_peer_is_heard_or_does_not_read() {
    for session in [
        // Heard since the first timeout: segments are lost, and others not.
        unanswered(6, 3),
        // Fewer timeouts than it takes, or not long enough.
        unanswered(2, 300),
        unanswered(5, 300),
        // No room, and nothing but keepalives.
        Session { window: 0, ..unanswered(9, 300) },
        Session { unacknowledged: 0, segments: 0, ..unanswered(9, 300) },
        Session { heard: SignedDuration::from_hours(9), ..vdi() },
    ] {
        let mut bench = bench();
        assert_eq!(bench.look(session), OK, "{session:?}");
        assert_eq!(bench.look(vdi()), OK);
        assert!(!bench.ledger.follows_sessions());
    }
}

#[test]
fn data_that_gets_through_begins_the_count_anew() {
    let mut bench = bench();
    for _ in 0..20 {
        assert_eq!(bench.look(unanswered(4, 4)), OK);
        bench.wait(1);
        assert_eq!(bench.look(unanswered(1, 0)), OK);
        bench.wait(1);
    }
}

#[test]
fn what_is_acknowledged_closes_it() {
    let mut bench = bench();
    bench.look(unanswered(6, 300));
    assert_eq!(bench.look(unanswered(6, 300)).0, Verdict::Degraded);
    // Not looked at, or heard without an acknowledgement: nothing changes.
    bench.snapshot.sessions = None;
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Degraded);
    bench.wait(30);
    assert_eq!(bench.look(unanswered(7, 1)).0, Verdict::Degraded);
    assert_eq!(bench.look(vdi()), OK);
}

#[test]
fn session_that_is_given_up_stays_until_the_flow_works() {
    let mut bench = bench();
    bench.look(unanswered(6, 300));
    bench.wait(1);
    bench.snapshot.sessions = Some(Vec::new());
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Degraded);
    assert!(!bench.stuck().is_open);
    assert!(!bench.ledger.follows_sessions());
    bench.wait(3600);
    bench.transmit(vdi().flow, data);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Degraded);
    bench.receive(vdi().flow, data);
    bench.transmit(vdi().flow, data);
    assert_eq!(bench.verdict("mssql-vdi-11113"), OK);
}

#[test]
fn nothing_is_said_of_a_session_for_longer_than_a_window() {
    let mut bench = bench();
    bench.look(unanswered(6, 300));
    bench.snapshot.sessions = Some(Vec::new());
    bench.wait(26 * 3600);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Degraded);
    bench.wait(1);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Idle);
}

#[test]
fn failing_attempts_come_before_stuck_sessions() {
    let mut bench = bench();
    bench.transmit(vdi().flow, syn);
    bench.look(unanswered(6, 300));
    bench.wait(5);
    let said = bench.look(unanswered(6, 303));
    assert_eq!(said, (Verdict::Blocked, Some(Cause::NoAnswer)));
    assert_eq!(bench.stuck().cause, Cause::SessionInterrupted);
}

#[test]
fn firewall_that_drops_an_idle_session_forgot_it() {
    for (heard, cause) in [(60, Cause::SessionInterrupted), (2, Cause::LocalFirewallIn)] {
        let mut bench = bench();
        let session = Session { heard: SignedDuration::from_secs(heard), ..vdi() };
        let first = bench.now();
        bench.flow(session.flow).dropped = vec![dropped(&session, 2, first, first)];
        assert_eq!(bench.look(session), OK);
        bench.wait(1);
        let session = Session { heard: session.heard + SignedDuration::from_secs(1), ..session };
        let now = bench.now();
        bench.flow(session.flow).dropped = vec![dropped(&session, 3, first, now)];
        assert_eq!(bench.look(session), degraded(cause));
        let stuck = bench.stuck();
        assert_eq!((stuck.since, stuck.retransmissions), (first, 0));
        assert_eq!(stuck.quiet, SignedDuration::from_secs(heard));
        // Once it is heard again, it works.
        bench.wait(1);
        assert_eq!(bench.look(vdi()), OK);
    }
}

/// As kernels before 5.17 tell it.
#[test]
fn segments_dropped_without_a_reason_cut_a_session_if_they_reached_no_socket() {
    for (arrived, said) in [(7, degraded(Cause::Undetermined)), (8, OK)] {
        let mut bench = bench();
        let session = Session { heard: SignedDuration::from_secs(60), ..vdi() };
        let first = bench.now() - SignedDuration::from_secs(1);
        let drop = dropped(&session, 3, first, bench.now());
        let drop = Drop { reason: crate::observe::UNTOLD.into(), ..drop };
        let tally = bench.flow(session.flow);
        tally.dropped = vec![drop];
        tally.wire.received.packets = 10;
        tally.sockets.received.packets = arrived;
        assert_eq!(bench.look(session), said, "{arrived}");
    }
}

#[test]
fn what_the_firewall_drops_is_heard_on_the_wire_and_mends_nothing() {
    let mut bench = bench();
    let session = unanswered(6, 300);
    let drop = dropped(&session, 6, bench.now(), bench.now());
    bench.flow(session.flow).dropped = vec![drop];
    assert_eq!(bench.look(session), degraded(Cause::SessionInterrupted));
    bench.wait(1);
    bench.snapshot.sessions = Some(Vec::new());
    bench.receive(vdi().flow, data);
    bench.transmit(vdi().flow, data);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Degraded);
    bench.connect(vdi().flow);
    assert_eq!(bench.verdict("mssql-vdi-11113"), OK);
}

#[test]
fn drops_of_other_sessions_prove_nothing() {
    let session = Session { heard: SignedDuration::from_secs(60), ..vdi() };
    let mut bench = bench();
    let first = bench.now();
    bench.wait(1);
    let drop = dropped(&session, 9, first, bench.now());
    for other in [
        Drop { port: 40_001, ..drop.clone() },
        Drop { opening: true, ..drop.clone() },
        Drop { reason: "TCP_OLD_DATA".into(), ..drop.clone() },
        Drop { received: false, ..drop },
    ] {
        bench.flow(session.flow).dropped = vec![other];
        for _ in 0..3 {
            assert_eq!(bench.look(session), OK);
        }
    }
}

#[test]
fn drops_from_before_the_session_was_heard_prove_nothing() {
    let mut bench = bench();
    let drop = dropped(&vdi(), 9, bench.now(), bench.now());
    bench.flow(vdi().flow).dropped = vec![drop];
    bench.wait(20);
    let session = Session { heard: SignedDuration::from_secs(19), ..vdi() };
    assert_eq!(bench.look(session), OK);
    assert_eq!(bench.look(session), OK);
}
