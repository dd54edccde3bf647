//! What ICMP errors prove, and what they do not.

use super::*;

const VDI: &str = "mssql-vdi-11113";

impl Bench {
    pub(super) fn icmp(&mut self, id: FlowId, kind: IcmpKind, received: bool) {
        let last = Some(self.now());
        let errors = IcmpErrors { kind, received, packets: 1, first: last, last };
        let all = &mut self.flow(id).icmp;
        match all.iter_mut().find(|errors| (errors.kind, errors.received) == (kind, received)) {
            Some(errors) => (errors.packets, errors.last) = (errors.packets + 1, last),
            None => all.push(errors),
        }
    }
}

fn vdi() -> FlowId {
    flow(Side::Client, "10.20.0.7", 11113)
}

#[test]
fn error_fails_the_attempt_at_once_and_names_the_cause() {
    for (kind, said) in [
        (IcmpKind::Unreachable, (Verdict::Blocked, Cause::RemoteUnreachable)),
        (IcmpKind::PortUnreachable, (Verdict::Refused, Cause::RemoteRefused)),
        (IcmpKind::Prohibited, (Verdict::Blocked, Cause::RemoteProhibited)),
    ] {
        let mut bench = Bench::new();
        bench.transmit(vdi(), syn);
        bench.icmp(vdi(), kind, true);
        assert_eq!(bench.verdict(VDI), (said.0, Some(said.1)));
        bench.wait(1);
        bench.connect(vdi());
        assert_eq!(bench.verdict(VDI), (Verdict::Ok, None));
    }
}

#[test]
fn packet_that_is_too_big_can_be_sent_smaller() {
    let mut bench = Bench::new();
    bench.transmit(vdi(), syn);
    bench.icmp(vdi(), IcmpKind::TooBig, true);
    assert_eq!(bench.verdict(VDI), (Verdict::Idle, None));
    bench.wait(5);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::Mtu)));
}

#[test]
fn error_without_an_attempt_is_no_failure_and_an_old_one_no_evidence() {
    let mut bench = Bench::new();
    bench.icmp(vdi(), IcmpKind::Prohibited, true);
    assert_eq!(bench.verdict(VDI), (Verdict::Idle, None));
    bench.wait(60);
    bench.transmit(vdi(), syn);
    assert_eq!(bench.verdict(VDI), (Verdict::Idle, None));
    bench.wait(5);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::NoAnswer)));
}

#[test]
fn reset_after_an_error_is_the_peer_s() {
    let mut bench = Bench::new();
    bench.transmit(vdi(), syn);
    bench.icmp(vdi(), IcmpKind::Unreachable, true);
    bench.verdict(VDI);
    bench.wait(60);
    bench.transmit(vdi(), syn);
    bench.receive(vdi(), rst);
    assert_eq!(bench.verdict(VDI), (Verdict::Refused, Some(Cause::RemoteRefused)));
}

#[test]
fn error_of_this_host_without_a_drop_is_a_refusal_without_a_cause() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.icmp(agent, IcmpKind::PortUnreachable, false);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Refused, Some(Cause::Undetermined)));
}

#[test]
fn firewall_that_no_longer_rejects_drops() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    let drop = |bench: &mut Bench| {
        let last = Some(bench.now());
        let reason = "NETFILTER_DROP".into();
        bench.flow(agent).dropped = vec![crate::observe::Drop {
            reason,
            received: true,
            opening: true,
            datagram: false,
            packets: 1,
            first: last,
            last,
            interface: None,
            port: 40_000,
            ..crate::observe::Drop::default()
        }];
    };
    bench.receive(agent, syn);
    drop(&mut bench);
    bench.icmp(agent, IcmpKind::Prohibited, false);
    let reject = (Verdict::Refused, Some(Cause::LocalFirewallReject));
    assert_eq!(bench.verdict("agent-50051"), reject);
    bench.wait(3);
    bench.receive(agent, syn);
    drop(&mut bench);
    assert_eq!(bench.verdict("agent-50051"), reject);
    bench.wait(1);
    bench.receive(agent, syn);
    drop(&mut bench);
    assert_eq!(
        bench.verdict("agent-50051").1,
        Some(Cause::LocalFirewallIn),
        "the last error is too old to belong to the drop"
    );
}

#[test]
fn datagrams_that_are_turned_down_fail_until_one_is_answered() {
    let mut bench = Bench::new();
    let mut scan = flow(Side::Client, "10.30.0.9", 32006);
    scan.transport = Transport::Udp;
    let client = |bench: &mut Bench| {
        let is_meant = |e: &Expectation| e.key.flow == "scan-32006" && e.key.side == Side::Client;
        let index = bench.expectations.iter().position(is_meant).unwrap();
        let said = bench.assess().judgements.swap_remove(index).unwrap();
        let attempts = said.failing.first().map_or(0, |failing| failing.failure.attempts);
        (said.verdict, said.cause, attempts)
    };
    bench.transmit(scan, data);
    bench.icmp(scan, IcmpKind::PortUnreachable, true);
    assert_eq!(client(&mut bench), (Verdict::Refused, Some(Cause::RemoteRefused), 1));
    bench.wait(1);
    assert_eq!(client(&mut bench), (Verdict::Refused, Some(Cause::RemoteRefused), 1));
    bench.transmit(scan, data);
    bench.icmp(scan, IcmpKind::PortUnreachable, true);
    assert_eq!(client(&mut bench), (Verdict::Refused, Some(Cause::RemoteRefused), 2));
    bench.wait(1);
    bench.transmit(scan, data);
    bench.receive(scan, data);
    assert_eq!(client(&mut bench), (Verdict::Ok, None, 0));
}
