//! Answers that do not reach the one who asked.

use super::*;
use crate::observe::Drop;

fn vdi() -> FlowId {
    flow(Side::Client, "10.20.0.7", 11113)
}

fn scan(side: Side) -> FlowId {
    FlowId { transport: Transport::Udp, ..flow(side, "10.30.0.9", 32006) }
}

impl Bench {
    /// Packets dropped for one reason until now.
    fn drops(&mut self, id: FlowId, reason: &str, received: bool, packets: u64) {
        let last = Some(self.now());
        self.flow(id).dropped = vec![Drop {
            reason: reason.into(),
            received,
            opening: false,
            datagram: false,
            packets,
            first: last,
            last,
            interface: None,
            port: 0,
            ..Drop::default()
        }];
    }

    /// This host asks in vain, although it is answered.
    fn ask_in_vain(&mut self, reason: Option<&str>) -> (Verdict, Option<Cause>) {
        self.transmit(vdi(), syn);
        self.receive(vdi(), syn_ack);
        if let Some(reason) = reason {
            self.drops(vdi(), reason, true, 1);
        }
        assert_eq!(self.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
        self.wait(5);
        self.verdict("mssql-vdi-11113")
    }

    fn answered_datagrams(&mut self, id: FlowId, answers: u64) {
        let now = self.now();
        let wire = &mut self.flow(id).wire;
        let (request, answer) = match id.side {
            Side::Client => (&mut wire.transmitted, &mut wire.received),
            Side::Server => (&mut wire.received, &mut wire.transmitted),
        };
        request.packets += answers;
        answer.packets += answers;
        (wire.last_received, wire.last_transmitted) = (Some(now), Some(now));
    }
}

#[test]
fn answer_that_the_asker_does_not_take_up_is_no_success() {
    assert_eq!(Bench::new().ask_in_vain(None), (Verdict::Blocked, Some(Cause::Undetermined)));
}

#[test]
fn what_drops_the_answers_is_the_cause() {
    let causes = [
        ("NETFILTER_DROP", Cause::LocalFirewallIn),
        ("IP_RPFILTER", Cause::RpFilter),
        ("TC_INGRESS", Cause::TcDrop),
        // Nobody waits for it any more.
        ("NO_SOCKET", Cause::Undetermined),
        ("TCP_OLD_DATA", Cause::Undetermined),
    ];
    for (reason, cause) in causes {
        assert_eq!(Bench::new().ask_in_vain(Some(reason)), (Verdict::Blocked, Some(cause)));
    }
}

#[test]
fn asker_that_goes_on_was_answered() {
    let mut bench = Bench::new();
    bench.ask_in_vain(Some("NETFILTER_DROP"));
    bench.connect(vdi());
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Ok, None));
}

#[test]
fn answer_that_is_dropped_before_the_wire_was_none() {
    let mut bench = Bench::new();
    bench.transmit(vdi(), syn);
    bench.drops(vdi(), "TC_INGRESS", true, 1);
    bench.assess();
    bench.wait(5);
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Blocked, Some(Cause::TcDrop)));
}

#[test]
fn datagrams_in_answer_that_are_dropped_are_no_success() {
    let mut bench = Bench::new();
    let scan = scan(Side::Server);
    bench.receive(scan, data);
    bench.drops(scan, "NETFILTER_DROP", false, 1);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Blocked, Some(Cause::LocalFirewallOut)));
    bench.wait(1);
    bench.answered_datagrams(scan, 1);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Ok, None));
}

#[test]
fn datagrams_of_the_wire_and_of_the_drops_may_be_read_in_any_order() {
    let failing = (Verdict::Blocked, Some(Cause::TcDrop));
    let mut bench = Bench::new();
    let scan = scan(Side::Server);
    bench.answered_datagrams(scan, 5);
    bench.drops(scan, "TC_EGRESS", false, 4);
    bench.assess();
    for dropped in [6, 7, 7] {
        bench.wait(1);
        bench.answered_datagrams(scan, 1);
        bench.drops(scan, "TC_EGRESS", false, dropped);
        assert_eq!(bench.verdict("scan-32006"), failing, "{dropped}");
    }
    bench.wait(1);
    bench.answered_datagrams(scan, 1);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Ok, None));
}

#[test]
fn silence_is_not_proven_by_datagrams_that_cross() {
    for (side, cause) in [(Side::Client, Cause::NoAnswer), (Side::Server, Cause::Undetermined)] {
        let blocked = (Verdict::Blocked, Some(cause));
        let unknown = (Verdict::Unknown, None);
        // Of four questions, two are no accident yet.
        for (crossing, expected) in
            [(0, blocked), (1, blocked), (2, unknown), (4, unknown), (5, unknown)]
        {
            let mut bench = Bench::new();
            bench.expectations.retain(|expectation| expectation.key.side == side);
            let ask = |bench: &mut Bench, of: Side| match of {
                Side::Client => bench.transmit(scan(of), data),
                Side::Server => bench.receive(scan(of), data),
            };
            (0..4).for_each(|_| ask(&mut bench, side));
            (0..crossing).for_each(|_| ask(&mut bench, scan(side).turned().side));
            bench.assess();
            bench.wait(5);
            assert_eq!(bench.verdict("scan-32006"), expected, "{side:?} {crossing}");
        }
    }
}

#[test]
fn questions_of_the_other_end_from_before_are_no_answers() {
    let mut bench = Bench::new();
    bench.expectations.retain(|expectation| expectation.key.side == Side::Client);
    (0..4).for_each(|_| bench.receive(scan(Side::Server), data));
    bench.assess();
    bench.wait(5);
    (0..4).for_each(|_| bench.transmit(scan(Side::Client), data));
    bench.assess();
    bench.wait(5);
    let blocked = (Verdict::Blocked, Some(Cause::NoAnswer));
    assert_eq!(bench.verdict("scan-32006"), blocked);
}

#[test]
fn questions_of_the_other_end_that_were_answered_are_no_answers() {
    let mut bench = Bench::new();
    bench.expectations.retain(|expectation| expectation.key.side == Side::Client);
    (0..4).for_each(|_| bench.transmit(scan(Side::Client), data));
    bench.answered_datagrams(scan(Side::Server), 4);
    bench.assess();
    bench.wait(5);
    let blocked = (Verdict::Blocked, Some(Cause::NoAnswer));
    assert_eq!(bench.verdict("scan-32006"), blocked);
}

/// As kernels before 5.17 tell it.
#[test]
fn datagrams_in_answer_that_are_dropped_without_a_reason_leave_it_unknown() {
    let mut bench = Bench::new();
    let scan = scan(Side::Client);
    bench.expectations.retain(|expectation| expectation.key.side == Side::Client);
    bench.answered_datagrams(scan, 3);
    bench.drops(scan, crate::observe::UNTOLD, true, 3);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Unknown, None));
    bench.wait(1);
    bench.answered_datagrams(scan, 1);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Ok, None));
}

/// As kernels before 5.17 tell it, of one that no neighbor takes.
#[test]
fn error_about_an_answer_that_is_dropped_without_a_reason_turns_nobody_down() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.drops(agent, crate::observe::UNTOLD, false, 1);
    let unreachable = IcmpErrors {
        kind: IcmpKind::Unreachable,
        received: false,
        packets: 1,
        first: Some(bench.now()),
        last: Some(bench.now()),
    };
    bench.flow(agent).icmp.push(unreachable);
    bench.assess();
    bench.wait(5);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Blocked, Some(Cause::Undetermined)));
}
