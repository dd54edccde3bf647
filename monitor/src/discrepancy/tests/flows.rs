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
    bench.flow(passing).wire.forwarded = 1;
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
    tally.sockets.received.packets = 7;
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
    // A network is no word on this very machine.
    assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
    let config = CONFIG.replace("10.20.0.0/24", "10.20.0.7");
    bench.expectations = expectations(&config::parse("test.toml", &config).unwrap());
    let judgement = bench.judge("mssql-vdi-11113");
    assert_eq!(judgement.verdict, Verdict::Ok);
    let counts = judgement.counts[&Some(0)];
    assert_eq!((counts.transmitted.syn, counts.received.syn_ack), (1, 1));
}

#[test]
fn systems_with_the_same_peers_have_the_same_counts() {
    let mut bench = Bench::new();
    let of = |systems: &[&str]| {
        let text = systems.iter().map(|name| {
            format!(
                "[[system]]\nname = \"{name}\"\nproduct = \"ibm-backup-recovery\"\n\
                 roles = [\"host\"]\npeers.cluster = [\"10.20.0.0/24\", \"10.20.0.7\"]\n"
            )
        });
        expectations(&config::parse("test.toml", &text.collect::<String>()).unwrap())
    };
    let counted = |bench: &mut Bench| -> Vec<(String, u64, usize)> {
        let judgements = bench.assess().judgements.into_iter().flatten();
        let said = bench.expectations.iter().zip(judgements);
        said.filter(|(expectation, _)| expectation.key.flow == "agent-50051")
            .map(|(expectation, judgement)| {
                let all: u64 = judgement.counts.values().map(|it| it.received.packets).sum();
                // Every packet counts for the smallest of the peers that it fits.
                assert_eq!(judgement.counts[&Some(1)].received.packets, 2);
                (expectation.key.system.clone(), all, judgement.failing_total)
            })
            .collect()
    };
    let line = |name: &str, packets, failing| (name.to_owned(), packets, failing);
    bench.expectations = of(&["a", "b", "c"]);
    let (works, fails) =
        (flow(Side::Server, "10.20.0.7", 50051), flow(Side::Server, "10.20.0.8", 50051));
    bench.accept(works);
    bench.receive(fails, syn);
    counted(&mut bench);
    bench.wait(5);
    assert_eq!(counted(&mut bench), ["a", "b", "c"].map(|name| line(name, 3, 1)));

    // What was counted stays with each of them, also when the first one goes.
    bench.snapshot.evicted = vec![(works, bench.flows.remove(&works).unwrap())];
    assert_eq!(counted(&mut bench), ["a", "b", "c"].map(|name| line(name, 3, 1)));
    bench.snapshot.evicted.clear();
    bench.expectations = of(&["b", "c"]);
    assert_eq!(counted(&mut bench), ["b", "c"].map(|name| line(name, 3, 1)));
}
