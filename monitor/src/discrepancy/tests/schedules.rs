//! Flows that are due in windows, and those that are due without a word in the config.

use super::*;

const SCHEDULE: &str = r#"
    [[system]]
    product = "gigavault-storage"
    roles = ["server"]
    sections = ["tcp_port_32004"]
    peers.client = ["10.30.0.0/24"]
    [[system.expect]]
    flow = "backup-32004"
    schedule = { days = ["mon-fri"], from = "22:00", to = "06:00", zone = "Europe/Berlin" }
"#;

const OVERDUE: (Verdict, Option<Cause>) = (Verdict::Missing, Some(Cause::NeverConnected));

fn bench(config: &str, started: &str) -> Bench {
    let mut bench = Bench::new();
    bench.expectations = expectations(&config::parse("test.toml", config).unwrap());
    bench.snapshot.taken = started.parse().unwrap();
    bench.ledger = Ledger::new(bench.now());
    bench
}

/// Moves the clock, hour by hour, so that what is blind is blind for an hour.
fn at(bench: &mut Bench, time: &str) {
    let time: Timestamp = time.parse().unwrap();
    while bench.now() < time {
        bench.snapshot.taken = (bench.now() + SignedDuration::from_hours(1)).min(time);
        bench.assess();
    }
}

fn back_up(bench: &mut Bench) {
    let backup = flow(Side::Server, "10.30.0.9", 32004);
    bench.accept(backup);
}

fn said(bench: &mut Bench) -> (Verdict, Option<Cause>) {
    bench.verdict("backup-32004")
}

fn hide(bench: &mut Bench) {
    bench.snapshot.coverage.push(Hook {
        hook: "tc-ingress",
        interface: Some("eth1".to_owned()),
        fault: Some("no".to_owned()),
        since: bench.now(),
    });
}

#[test]
fn window_that_ends_without_success_is_missing_until_there_is_one() {
    // A Monday at noon.
    let mut bench = bench(SCHEDULE, "2026-01-05T12:00:00Z");
    assert_eq!(said(&mut bench), (Verdict::Idle, None));
    at(&mut bench, "2026-01-06T04:59:59Z");
    assert_eq!(said(&mut bench), (Verdict::Idle, None));
    at(&mut bench, "2026-01-06T05:00:00Z");
    let judgement = bench.judge("backup-32004");
    assert_eq!((judgement.verdict, judgement.cause), OVERDUE);
    let reason = "not seen from Mon 2026-01-05 22:00 to Tue 2026-01-06 06:00 CET";
    assert_eq!(judgement.reason.as_deref(), Some(reason));
    // One that is late closes it, and counts until the next window has ended.
    at(&mut bench, "2026-01-06T09:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
    back_up(&mut bench);
    assert_eq!(said(&mut bench), (Verdict::Ok, None));
    at(&mut bench, "2026-01-07T04:59:59Z");
    assert_eq!(said(&mut bench), (Verdict::Ok, None));
    at(&mut bench, "2026-01-07T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
}

#[test]
fn success_in_the_last_window_of_the_week_lasts_over_the_week_end() {
    let mut bench = bench(SCHEDULE, "2026-01-09T12:00:00Z");
    at(&mut bench, "2026-01-10T02:00:00Z");
    back_up(&mut bench);
    at(&mut bench, "2026-01-13T04:59:59Z");
    assert_eq!(said(&mut bench), (Verdict::Ok, None));
    at(&mut bench, "2026-01-13T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
}

#[test]
fn success_before_the_window_is_none_in_it() {
    let mut bench = bench(SCHEDULE, "2026-01-05T12:00:00Z");
    at(&mut bench, "2026-01-05T20:59:59Z");
    back_up(&mut bench);
    assert_eq!(said(&mut bench), (Verdict::Ok, None));
    at(&mut bench, "2026-01-06T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
}

#[test]
fn window_that_was_not_watched_from_its_start_says_nothing() {
    let mut bench = bench(SCHEDULE, "2026-01-05T21:00:01Z");
    at(&mut bench, "2026-01-06T04:59:59Z");
    assert_eq!(said(&mut bench), (Verdict::Idle, None));
    at(&mut bench, "2026-01-06T05:00:00Z");
    let judgement = bench.judge("backup-32004");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    let reason = "not watched for all of Mon 2026-01-05 22:00 to Tue 2026-01-06 06:00 CET";
    assert_eq!(judgement.reason.as_deref(), Some(reason));
    at(&mut bench, "2026-01-07T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
}

#[test]
fn flow_that_the_config_gains_in_a_window_is_not_missing_in_it() {
    let mut bench = bench(SCHEDULE, "2026-01-05T12:00:00Z");
    let gained = std::mem::take(&mut bench.expectations);
    at(&mut bench, "2026-01-06T01:00:00Z");
    bench.expectations = gained;
    at(&mut bench, "2026-01-06T05:00:00Z");
    assert_eq!(said(&mut bench).0, Verdict::Unknown);
    at(&mut bench, "2026-01-07T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
}

#[test]
fn blind_part_of_a_window_leaves_it_open_and_a_blind_day_does_not() {
    let mut bench = bench(SCHEDULE, "2026-01-05T12:00:00Z");
    at(&mut bench, "2026-01-06T03:00:00Z");
    hide(&mut bench);
    at(&mut bench, "2026-01-06T03:00:01Z");
    bench.snapshot.coverage.clear();
    at(&mut bench, "2026-01-06T05:00:00Z");
    assert_eq!(said(&mut bench).0, Verdict::Unknown);
    at(&mut bench, "2026-01-07T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
    // That this window has passed stays true, in the blind part of the next one too.
    hide(&mut bench);
    at(&mut bench, "2026-01-08T05:00:00Z");
    assert_eq!(said(&mut bench), OVERDUE);
    bench.snapshot.coverage.clear();
    back_up(&mut bench);
    at(&mut bench, "2026-01-08T05:00:01Z");
    back_up(&mut bench);
    assert_eq!(said(&mut bench), (Verdict::Ok, None));
}

#[test]
fn windows_follow_the_clocks_of_the_zone() {
    let every_day = SCHEDULE.replace("mon-fri", "mon-sun");
    for (started, last, end) in [
        ("2026-03-28T12:00:00Z", "2026-03-29T03:59:59Z", "2026-03-29T04:00:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-25T04:59:59Z", "2026-10-25T05:00:00Z"),
    ] {
        let mut bench = bench(&every_day, started);
        at(&mut bench, last);
        assert_eq!(said(&mut bench), (Verdict::Idle, None), "{last}");
        at(&mut bench, end);
        assert_eq!(said(&mut bench), OVERDUE, "{end}");
    }
}

#[test]
fn every_member_is_due_in_a_window_too() {
    let config = SCHEDULE
        .replace("gigavault-storage", "ibm-cloud-backup")
        .replace("\"server\"", "\"agent\"")
        .replace("sections = [\"tcp_port_32004\"]", "scenario = \"commercial\"")
        .replace(
            "peers.client = [\"10.30.0.0/24\"]",
            "peers.amp-proxy = [\"10.2.118.12\", \"10.2.118.13\"]",
        )
        .replace("backup-32004", "amp-8087");
    let mut bench = bench(&config, "2026-01-05T12:00:00Z");
    at(&mut bench, "2026-01-05T23:00:00Z");
    let first = flow(Side::Client, "10.2.118.12", 8087);
    bench.connect(first);
    at(&mut bench, "2026-01-06T05:00:00Z");
    let judgement = bench.judge("amp-8087");
    assert_eq!((judgement.verdict, judgement.cause), OVERDUE);
    let reason = "not seen from Mon 2026-01-05 22:00 to Tue 2026-01-06 06:00 CET: 10.2.118.13";
    assert_eq!(judgement.reason.as_deref(), Some(reason));
}

#[test]
fn what_every_backup_uses_is_due_within_26_hours_by_default() {
    let server = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                  sections = [\"tcp_port_32004\", \"tcp_ssl_port_32007\"]\n";
    let mut plain = bench(server, "2026-01-05T12:00:00Z");
    let judgement = plain.judge("backup-32004");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    assert_eq!(judgement.reason.as_deref(), Some("watched for less than 26h"));
    // It is used on a condition that the config does not have.
    assert_eq!(plain.verdict("backup-ssl-32007"), (Verdict::Idle, None));
    plain.wait(26 * 3600);
    assert_eq!(said(&mut plain), OVERDUE);
    assert_eq!(plain.verdict("backup-ssl-32007"), (Verdict::Idle, None));

    let mut tls = bench(&format!("{server}options = [\"ssl\"]\n"), "2026-01-05T12:00:00Z");
    tls.wait(26 * 3600);
    assert_eq!(tls.verdict("backup-ssl-32007"), OVERDUE);

    let never = "[[system.expect]]\nflow = \"backup-*\"\nwithin = \"never\"\n";
    let mut never = bench(&format!("{server}{never}"), "2026-01-05T12:00:00Z");
    assert_eq!(said(&mut never), (Verdict::Idle, None));
    never.wait(26 * 3600);
    assert_eq!(said(&mut never), (Verdict::Idle, None));
}

#[test]
fn by_default_one_node_is_enough_and_nothing_is_due_of_machines_that_there_may_not_be() {
    let of = |role: &str, peers: &str| {
        let config = format!(
            "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"{role}\"]\n\
             sections = [\"agent_communication\"]\n{peers}\n"
        );
        let mut bench = bench(&config, "2026-01-05T12:00:00Z");
        bench.wait(26 * 3600);
        bench
    };
    let mut host = of("host", "peers.cluster = [\"10.20.0.7\", \"10.20.0.8\"]");
    assert_eq!(host.verdict("agent-50051"), OVERDUE);
    let agent = flow(Side::Server, "10.20.0.7", 50051);
    host.accept(agent);
    assert_eq!(host.verdict("agent-50051"), (Verdict::Ok, None));
    assert_eq!(of("host", "").verdict("agent-50051"), OVERDUE);
    // Of the roles that a cluster may connect to, the config has to say which there are.
    assert_eq!(of("cluster", "").verdict("agent-50051"), (Verdict::Idle, None));
    let mut cluster = of("cluster", "peers.host = [\"10.1.1.1\"]");
    assert_eq!(cluster.verdict("agent-50051"), OVERDUE);
}
