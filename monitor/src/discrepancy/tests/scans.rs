//! Port scans of strangers, and of peers.

use super::*;

const AGENT: &str = "agent-50051";

impl Bench {
    /// A machine asks for many ports at once, most of which nobody is expected to ask for here.
    fn scan(&mut self, peer: &str, ports: u16) {
        let others = (1..ports).map(|number| 20_000 + number);
        for port in others.chain([50051]) {
            let asked = flow(Side::Server, peer, port);
            self.receive(asked, syn);
            self.transmit(asked, rst);
        }
    }
}

#[test]
fn a_scan_is_no_refusal_and_no_use() {
    let mut bench = Bench::new();
    bench.accept(flow(Side::Server, "10.20.0.7", 50051));
    assert_eq!(bench.verdict(AGENT), (Verdict::Ok, None));
    bench.wait(10);
    bench.scan("10.20.0.50", 12);
    let assessment = bench.assess();
    assert_eq!(assessment.scanners.len(), 1);
    assert_eq!((assessment.scanners[0].ports, assessment.unexpected_total), (12, 0));
    assert_eq!(bench.verdict(AGENT), (Verdict::Ok, None));
    // Nor is it one later, when it is over.
    for _ in 0..20 {
        bench.wait(10);
        assert_eq!(bench.verdict(AGENT), (Verdict::Ok, None));
    }
    assert_eq!(bench.assess().scanners, []);
}

#[test]
fn what_a_scanner_gets_to_open_is_no_use() {
    let mut bench = Bench::new();
    for port in 20_000..20_012 {
        let asked = flow(Side::Server, "10.20.0.50", port);
        bench.receive(asked, syn);
        bench.transmit(asked, rst);
    }
    bench.accept(flow(Side::Server, "10.20.0.50", 50051));
    for _ in 0..20 {
        assert_eq!(bench.verdict(AGENT).0, Verdict::Idle);
        bench.wait(10);
    }
}

#[test]
fn datagrams_of_a_scanner_are_no_traffic() {
    let mut bench = Bench::new();
    for port in [20_000, 20_001, 20_002, 32006] {
        let asked = FlowId { transport: Transport::Udp, ..flow(Side::Server, "10.20.0.50", port) };
        bench.receive(asked, data);
    }
    assert_eq!(bench.assess().scanners.len(), 1);
    assert_eq!(bench.verdict("scan-32006"), (Verdict::Idle, None));
}

#[test]
fn a_peer_all_of_whose_services_are_down_is_no_scanner() {
    let mut bench = Bench::new();
    bench.scan("10.20.0.7", 3);
    assert_eq!(bench.assess().scanners, []);
    assert_eq!(bench.verdict(AGENT).0, Verdict::Refused);
}

#[test]
fn a_peer_that_scans_keeps_what_it_used_before() {
    let mut bench = Bench::new();
    let used = flow(Side::Server, "10.20.0.7", 50051);
    bench.accept(used);
    bench.assess();
    bench.wait(120);
    let before = bench.judge(AGENT).last_success;
    bench.scan("10.20.0.7", 12);
    let judgement = bench.judge(AGENT);
    assert_eq!((judgement.verdict, judgement.last_success), (Verdict::Ok, before));
    // What it asks for after the scan counts as ever.
    bench.wait(120);
    bench.receive(used, syn);
    bench.transmit(used, rst);
    assert_eq!(bench.verdict(AGENT).0, Verdict::Refused);
}
