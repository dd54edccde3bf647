//! Attempts that were never sent, and the route that tells why.

use std::net::IpAddr;

use super::*;
use crate::observe::Happened;

const VDI: &str = "mssql-vdi-11113";
const UNREACHABLE: u32 = 101;

impl Bench {
    fn never_begin(&mut self, id: FlowId) {
        let last = Some(self.now());
        let times = self.flow(id).not_begun.times + 1;
        self.flow(id).not_begun = Happened { times, last };
    }

    fn no_route(&mut self, peer: IpAddr) {
        self.snapshot.routes.insert(peer, Route::None { error: UNREACHABLE });
    }
}

#[test]
fn attempt_without_a_route_fails_at_once_and_stands_when_the_route_is_back() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.never_begin(vdi);
    bench.no_route(vdi.peer);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::NoRoute)));
    bench.wait(5);
    bench.snapshot.routes.clear();
    let judgement = bench.judge(VDI);
    assert_eq!((judgement.verdict, judgement.cause), (Verdict::Blocked, Some(Cause::NoRoute)));
    assert_eq!(judgement.failing[0].failure.attempts, 1);
}

#[test]
fn attempt_that_did_not_begin_while_there_is_a_route_was_refused_for_another_reason() {
    let mut bench = Bench::new();
    let vdi = flow(Side::Client, "10.20.0.7", 11113);
    bench.never_begin(vdi);
    bench.snapshot.routes.insert(vdi.peer, Route::Out { interface: None, gateway: None });
    assert_eq!(bench.verdict(VDI), (Verdict::Idle, None));
    // A route that goes later is not the reason.
    bench.wait(1);
    bench.no_route(vdi.peer);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::Undetermined)));
}

#[test]
fn answers_without_a_way_back_need_attempts_that_reach_a_socket() {
    let mut bench = Bench::new();
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    bench.receive(agent, syn);
    bench.no_route(agent.peer);
    bench.verdict("agent-50051");
    bench.wait(5);
    let said = (Verdict::Blocked, Some(Cause::Undetermined));
    assert_eq!(bench.verdict("agent-50051"), said);
    bench.flow(agent).sockets.received.syn = 1;
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Blocked, Some(Cause::NoRoute)));
}

#[test]
fn one_address_of_a_name_is_enough() {
    let mut bench = Bench::new();
    let config = CONFIG.replace(r#"["10.20.0.0/24"]"#, r#"["br.example.com", "10.20.0.9"]"#);
    bench.expectations = expectations(&config::parse("test.toml", &config).unwrap());
    let (four, six) = ("10.20.0.7", "fd00:20::7");
    let addresses = [four, six].map(|address| address.parse().unwrap());
    bench.names.insert("br.example.com".to_owned(), addresses.to_vec());
    let by_six = flow(Side::Client, six, 11113);
    bench.never_begin(by_six);
    bench.no_route(by_six.peer);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::NoRoute)));
    let by_four = flow(Side::Client, four, 11113);
    bench.connect(by_four);
    assert_eq!(bench.verdict(VDI), (Verdict::Ok, None));
    // Another peer is another matter.
    let other = flow(Side::Client, "10.20.0.9", 11113);
    bench.never_begin(other);
    bench.no_route(other.peer);
    assert_eq!(bench.verdict(VDI), (Verdict::Blocked, Some(Cause::NoRoute)));
}
