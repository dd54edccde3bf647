//! Peers whose name stands for other addresses than before.

use super::*;

const CONFIG: &str = r#"
    [[system]]
    product = "ibm-backup-recovery"
    roles = ["ms-sql-server", "host"]
    peers.cluster = ["a.example.com"]
    [[system.expect]]
    flow = "agent-*"
    within = "1h"
"#;

const OLD: &str = "10.20.0.7";
const NEW: &str = "10.20.0.8";

fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    bench.expectations = expectations(&config::parse("test.toml", config).unwrap());
    bench.name("a.example.com", &[OLD]);
    bench.wait(7200);
    bench
}

impl Bench {
    fn name(&mut self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.insert(name.to_owned(), addresses);
    }

    /// Packets received of the name, and of flows that nothing covers.
    fn counted(&mut self) -> (u64, Vec<u64>) {
        let index = self.expectations.iter().position(|e| e.key.flow == "agent-50051").unwrap();
        let mut assessment = self.assess();
        let counts = assessment.judgements.swap_remove(index).unwrap().counts;
        let strangers = assessment.unexpected.iter().map(|u| u.wire.received.packets).collect();
        (counts[&Some(0)].received.packets, strangers)
    }
}

fn agent(peer: &str) -> FlowId {
    flow(Side::Server, peer, 50051)
}

#[test]
fn counts_stay_where_they_were_made() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    assert_eq!(bench.counted(), (2, vec![]));
    bench.name("a.example.com", &[NEW]);
    bench.wait(1);
    assert_eq!(bench.counted(), (2, vec![]));
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Ok, None));
    bench.accept(agent(NEW));
    assert_eq!(bench.counted(), (4, vec![]));
    // And what comes now is nobody's, until it is the peer's again.
    bench.accept(agent(OLD));
    bench.receive(agent(OLD), data);
    assert_eq!(bench.counted(), (4, vec![3]));
    bench.receive(agent(OLD), data);
    assert_eq!(bench.counted(), (4, vec![4]));
    bench.name("a.example.com", &[OLD, NEW]);
    assert_eq!(bench.counted(), (8, vec![]));
    bench.name("a.example.com", &[NEW]);
    assert_eq!(bench.counted(), (8, vec![]));
}

#[test]
fn open_connection_stays_with_whom_it_was_opened_to() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    bench.assess();
    bench.name("a.example.com", &[]);
    for packets in 3..6 {
        bench.wait(1);
        bench.receive(agent(OLD), data);
        assert_eq!(bench.counted(), (packets, vec![]));
    }
    bench.accept(agent(OLD));
    assert_eq!(bench.counted(), (5, vec![2]));
}

#[test]
fn moment_of_the_change_belongs_to_the_time_before() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    bench.assess();
    bench.accept(agent(OLD));
    bench.name("a.example.com", &[NEW]);
    assert_eq!(bench.counted(), (4, vec![]));
    bench.accept(agent(OLD));
    assert_eq!(bench.counted(), (4, vec![2]));
}

#[test]
fn datagrams_have_no_connection_to_stay_with() {
    let mut bench = bench(
        r#"
        [[system]]
        product = "gigavault-storage"
        roles = ["server"]
        sections = ["udp_port_32006"]
        peers.client = ["10.20.0.9"]
        peers.server = ["a.example.com"]
        "#,
    );
    let scan = FlowId { transport: Transport::Udp, ..flow(Side::Server, OLD, 32006) };
    bench.receive(scan, data);
    bench.assess();
    bench.name("a.example.com", &[]);
    bench.assess();
    bench.receive(scan, data);
    assert_eq!(bench.assess().unexpected_total, 1);
    assert_eq!(bench.judge("scan-32006").counts[&Some(0)].received.packets, 1);
}

#[test]
fn success_before_the_move_still_counts_and_failures_do_not() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    bench.assess();
    bench.name("a.example.com", &[NEW]);
    bench.assess();
    bench.receive(agent(OLD), syn);
    bench.wait(4);
    bench.receive(agent(OLD), syn);
    bench.wait(4);
    let judgement = bench.judge("agent-50051");
    assert_eq!((judgement.verdict, judgement.failing.len()), (Verdict::Ok, 0));
    bench.wait(3600);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Missing, Some(Cause::NeverConnected)));
}

#[test]
fn address_may_go_from_one_name_to_another() {
    let mut bench = bench(&CONFIG.replace("[\"a", "[\"b.example.com\", \"a"));
    bench.name("b.example.com", &[NEW]);
    bench.accept(agent(OLD));
    let received = |bench: &mut Bench| {
        let counts = bench.judge("agent-50051").counts;
        [counts[&Some(0)].received.packets, counts[&Some(1)].received.packets]
    };
    assert_eq!(received(&mut bench), [0, 2]);
    bench.name("b.example.com", &[OLD]);
    bench.name("a.example.com", &[NEW]);
    bench.accept(agent(OLD));
    assert_eq!(received(&mut bench), [4, 4]);
    bench.receive(agent(OLD), data);
    assert_eq!(received(&mut bench), [5, 4]);
    assert_eq!(bench.assess().unexpected_total, 0);
}

#[test]
fn flow_that_leaves_the_map_takes_its_past_along() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    bench.assess();
    bench.name("a.example.com", &[NEW]);
    bench.assess();
    bench.accept(agent(OLD));
    assert_eq!(bench.counted(), (2, vec![2]));
    let tally = bench.flows.remove(&agent(OLD)).unwrap();
    bench.snapshot.evicted.push((agent(OLD), tally));
    assert_eq!(bench.counted(), (2, vec![]));
    bench.snapshot.evicted.clear();
    bench.accept(agent(OLD));
    assert_eq!(bench.counted(), (2, vec![2]));
}

#[test]
fn config_without_the_name_ends_its_past() {
    let mut bench = bench(CONFIG);
    bench.accept(agent(OLD));
    bench.assess();
    bench.name("a.example.com", &[]);
    bench.assess();
    let config = CONFIG.replace("a.example.com", "10.20.0.9");
    bench.expectations = expectations(&config::parse("test.toml", &config).unwrap());
    assert_eq!(bench.counted(), (0, vec![2]));
}
