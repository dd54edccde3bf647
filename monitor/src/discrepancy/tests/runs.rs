//! What is known after a restart, and after a reload.

use super::*;

const BACKUP: &str = "backup-32004";

fn backup() -> FlowId {
    flow(Side::Server, "10.30.0.9", 32004)
}

fn succeed(bench: &mut Bench) {
    bench.accept(backup());
    bench.assess();
}

/// The next run, some seconds later. The counts start afresh.
fn restart(bench: &mut Bench, seconds: i64) {
    let text = serde_json::to_string(&bench.ledger.memory()).unwrap();
    let memory: Memory = serde_json::from_str(&text).unwrap();
    assert_eq!(memory, bench.ledger.memory());
    bench.wait(seconds);
    assert_eq!(memory.fault(bench.now()), None);
    bench.ledger = Ledger::resume(memory, bench.now());
    bench.flows.clear();
    bench.snapshot.counting = Some("another".into());
}

#[test]
fn what_worked_before_counts_for_its_time() {
    let mut bench = Bench::new();
    bench.wait(10);
    let success = bench.now();
    succeed(&mut bench);
    restart(&mut bench, 3000);
    let judgement = bench.judge(BACKUP);
    assert_eq!((judgement.verdict, judgement.last_success), (Verdict::Ok, Some(success)));
    assert_eq!(judgement.last_seen, Some(success));
    assert_eq!(judgement.counts[&Some(0)].last_seen, Some(success));
    bench.wait(600);
    assert_eq!(bench.judge(BACKUP).last_success, Some(success));
    bench.wait(1);
    assert_eq!(bench.judge(BACKUP).reason.as_deref(), Some("watched for less than 1h"));
}

#[test]
fn short_break_is_none_and_a_longer_one_is() {
    for (seconds, expected) in [(60, Verdict::Missing), (61, Verdict::Unknown)] {
        let mut bench = Bench::new();
        bench.wait(3500);
        bench.assess();
        restart(&mut bench, seconds);
        let watched_since = bench.assess().watched_since;
        assert_eq!(bench.now() == watched_since, seconds > 60);
        bench.wait(40);
        assert_eq!(bench.verdict(BACKUP).0, expected, "{seconds}");
        // What is not due is idle, as at a first start.
        assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
    }
}

#[test]
fn time_that_the_host_slept_through_was_not_watched() {
    for (seconds, expected) in [(60, Verdict::Missing), (61, Verdict::Unknown)] {
        let mut bench = Bench::new();
        bench.wait(3540);
        bench.assess();
        bench.wait(seconds);
        bench.ledger.wake(bench.now());
        assert_eq!(bench.verdict(BACKUP).0, expected, "{seconds}");
        assert_eq!(bench.verdict("mssql-vdi-11113"), (Verdict::Idle, None));
    }
    // A clock that was years behind is no long watch either.
    let mut bench = Bench::new();
    bench.wait(365 * 24 * 3600);
    bench.ledger.wake(bench.now());
    assert_eq!(bench.verdict(BACKUP).0, Verdict::Unknown);
}

#[test]
fn clock_that_is_set_a_day_forward_and_back_raises_no_alarm_and_leaves_a_sound_memory() {
    let mut bench = Bench::new();
    bench.wait(3600);
    succeed(&mut bench);
    bench.snapshot.lost.insert(Loss::FlowMapFull, 1);
    for (seconds, expected) in [(24 * 3600, Verdict::Unknown), (-24 * 3600, Verdict::Ok)] {
        bench.wait(seconds);
        bench.ledger.wake(bench.now());
        assert_eq!(bench.verdict(BACKUP).0, expected, "{seconds}");
        let memory = bench.ledger.memory();
        assert_eq!(memory.fault(bench.now()), None, "{seconds}: {memory:?}");
    }
    // What is seen from then on counts as ever.
    bench.wait(2);
    let fault = bench.ledger.memory().watch.last_fault(false).map(|(until, _)| until);
    assert!(fault.is_none_or(|until| until <= bench.now()), "{fault:?}");
    succeed(&mut bench);
    assert_eq!(bench.judge(BACKUP).last_success, Some(bench.now()));
}

#[test]
fn blind_time_is_remembered() {
    let mut bench = Bench::new();
    bench.snapshot.lost.insert(Loss::FlowMapFull, 1);
    bench.assess();
    bench.wait(40);
    bench.assess();
    restart(&mut bench, 10);
    let judgement = bench.judge("mssql-vdi-11113");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    let reason = "the flow map was full, new flows were not counted";
    assert_eq!(judgement.reason.as_deref(), Some(reason));
    // The count that was pinned is no new loss.
    bench.wait(10);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Unknown);
    bench.wait(1);
    assert_eq!(bench.verdict("mssql-vdi-11113").0, Verdict::Idle);
}

#[test]
fn counts_that_go_on_say_no_more_than_was_known() {
    let mut bench = Bench::new();
    bench.wait(10);
    let success = bench.now();
    succeed(&mut bench);
    bench.wait(10);
    bench.receive(backup(), syn);
    bench.transmit(backup(), rst);
    assert_eq!(bench.verdict(BACKUP).0, Verdict::Refused);
    let (flows, counting) = (bench.flows.clone(), bench.snapshot.counting.clone());
    restart(&mut bench, 10);
    (bench.flows, bench.snapshot.counting) = (flows, counting);
    // The last answer was an RST.
    assert_eq!(bench.judge(BACKUP).last_success, Some(success));
    bench.wait(1);
    let later = bench.now();
    succeed(&mut bench);
    assert_eq!(bench.judge(BACKUP).last_success, Some(later));
}

#[test]
fn success_of_a_flow_that_left_the_map_is_kept() {
    let mut bench = Bench::new();
    let success = bench.now();
    succeed(&mut bench);
    let tally = bench.flows.remove(&backup()).unwrap();
    bench.snapshot.evicted.push((backup(), tally));
    bench.wait(1);
    bench.assess();
    bench.snapshot.evicted.clear();
    let judgement = bench.judge(BACKUP);
    assert_eq!((judgement.verdict, judgement.last_success), (Verdict::Ok, Some(success)));
}

#[test]
fn what_the_config_gains_is_watched_from_then_on() {
    let both = expectations(&config::parse("test.toml", CONFIG).unwrap());
    let other = |from: &str, to: &str| {
        let text = CONFIG.replace(from, to);
        expectations(&config::parse("test.toml", &text).unwrap())
    };
    for is_restart in [false, true] {
        for (before, after) in [
            // A flow that was not counted, one with another peer, and one on another port.
            (Vec::new(), both.clone()),
            (both.clone(), other("\"10.30.0.0/24\"", "\"10.30.0.0/24\", \"10.31.0.1\"")),
            (both.clone(), other("peers.client", "ports.backup-32004 = 42004\n    peers.client")),
        ] {
            let mut bench = Bench::new();
            bench.expectations = before;
            bench.wait(3600);
            bench.assess();
            if is_restart {
                restart(&mut bench, 0);
            }
            bench.expectations = after;
            bench.assess();
            bench.wait(3599);
            assert_eq!(bench.verdict(BACKUP).0, Verdict::Unknown);
            bench.wait(1);
            assert_eq!(bench.verdict(BACKUP).0, Verdict::Missing);
        }
    }
}

#[test]
fn success_goes_with_its_peer_and_its_port() {
    let with_ports = |more: &str, peers: &str| {
        let text = CONFIG.replace("[\"10.30.0.0/24\"]", &format!("{peers}{more}"));
        expectations(&config::parse("test.toml", &text).unwrap())
    };
    for is_restart in [false, true] {
        for (after, expected) in [
            (with_ports("", "[\"10.31.0.1\", \"10.30.0.0/24\"]"), Verdict::Ok),
            (with_ports("", "[\"10.31.0.1\"]"), Verdict::Unknown),
            (with_ports("\nports.backup-32004 = 42004", "[\"10.30.0.0/24\"]"), Verdict::Unknown),
        ] {
            let mut bench = Bench::new();
            succeed(&mut bench);
            bench.flows.clear();
            bench.wait(10);
            if is_restart {
                restart(&mut bench, 0);
            }
            bench.expectations = after;
            assert_eq!(bench.verdict(BACKUP).0, expected);
        }
    }
}

#[test]
fn memory_with_a_time_to_come_is_none_of_an_earlier_run() {
    let mut bench = Bench::new();
    bench.wait(100);
    succeed(&mut bench);
    let memory = bench.ledger.memory();
    let before = |seconds| bench.now() - SignedDuration::from_secs(seconds);
    assert_eq!(memory.fault(before(60)), None);
    assert!(memory.fault(before(61)).is_some());
    let mut later = memory.clone();
    let seen = &mut later.expectations.last_mut().unwrap().peers[0].seen;
    seen.last_success = Some(bench.now() + SignedDuration::from_secs(61));
    assert!(later.fault(bench.now()).is_some());
    let mut backwards = memory;
    backwards.watch.since = bench.now() + SignedDuration::from_secs(1);
    assert!(backwards.fault(bench.now()).is_some());
}

#[test]
fn many_blind_times_become_one_that_holds_them_all() {
    let mut bench = Bench::new();
    let begun = bench.now();
    for lost in 1..200 {
        bench.wait(60);
        bench.snapshot.lost.insert(Loss::FlowMapFull, lost);
        bench.assess();
        bench.wait(60);
        bench.assess();
    }
    let blind = bench.ledger.memory().watch.blind;
    assert_eq!((blind.len(), blind[0].since), (64, begun));
}
