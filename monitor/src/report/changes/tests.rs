use super::*;
use crate::discrepancy::Verdict;

/// The report of the golden files: three discrepancies and an unexpected flow.
fn sample() -> Report {
    serde_json::from_str(include_str!("../../../tests/golden/report.json")).unwrap()
}

fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

/// Says of the first expectation, which is blocked, that it works, or again that it does not.
fn toggle(report: &mut Report) {
    let first = &mut report.expectations[0];
    (first.verdict, first.cause) = if first.verdict == Verdict::Ok {
        (Verdict::Blocked, Some(Cause::NoAnswer))
    } else {
        (Verdict::Ok, None)
    };
}

#[test]
fn the_first_report_opens_all_and_the_same_again_nothing() {
    let mut changes = Changes::default();
    let opened = lines(&changes.follow(&sample()));
    assert_eq!(
        opened,
        [
            "UNEXPECTED  gigavault-storage: from 192.0.2.77 to this host, port 32004/tcp, near \
             backup-32004: unexpected-peer, since 2026-03-02 01:59:00 UTC",
            "BLOCKED  sql-backups: agent-50051, from cluster to this host, port 50051/tcp: \
             local-firewall-in with 10.20.0.20, since 2026-03-02 02:14:00 UTC",
            "REFUSED  sql-backups: mssql-vdi-11113, from this host to cluster, port 11113/tcp: \
             remote-refused with 10.20.0.20, since 2026-03-02 02:10:00 UTC",
            "MISSING  sql-backups: mssql-vdi-11117, from this host to cluster, port 11117/tcp: \
             never-connected, since 2026-03-02 02:00:00 UTC",
        ]
    );
    assert_eq!(changes.follow(&sample()), []);
}

#[test]
fn another_cause_is_the_same_discrepancy_and_its_end_says_how_long_it_lasted() {
    let mut changes = Changes::default();
    let mut report = sample();
    changes.follow(&report);
    let since = report.expectations[0].since;

    report.taken += SignedDuration::from_secs(10);
    report.expectations[0].cause = Some(Cause::NoAnswer);
    report.expectations[0].since = report.taken;
    let altered = changes.follow(&report);
    assert_eq!(
        lines(&altered),
        [
            "BLOCKED  sql-backups: agent-50051, from cluster to this host, port 50051/tcp: no-answer \
          with 10.20.0.20, since 2026-03-02 02:14:00 UTC; before blocked, local-firewall-in"
        ]
    );
    let Change::Altered(Finding { since: kept, .. }, ..) = &altered[0] else { panic!() };
    assert_eq!(*kept, since);

    report.taken += SignedDuration::from_mins(10);
    toggle(&mut report);
    assert_eq!(
        lines(&changes.follow(&report)),
        [
            "OK  sql-backups: agent-50051, from cluster to this host, port 50051/tcp: blocked for 16m \
          10s, no-answer, is over"
        ]
    );
    assert_eq!(changes.follow(&report), []);
}

#[test]
fn what_is_no_longer_expected_or_seen_is_over() {
    let mut changes = Changes::default();
    let mut report = sample();
    changes.follow(&report);
    report.expectations.remove(0);
    report.unexpected.clear();
    // It may be one of those that are not listed.
    let over = changes.follow(&report);
    assert_eq!(over.len(), 1);
    assert!(matches!(&over[0], Change::Closed(_, _, "no longer expected")), "{over:?}");
    report.unexpected_total = 0;
    let over = changes.follow(&report);
    assert_eq!(over.len(), 1);
    assert!(matches!(&over[0], Change::Closed(_, _, "no longer seen")), "{over:?}");
}

#[test]
fn flapping_is_told_in_part_and_counted() {
    let mut changes = Changes::default();
    let mut report = sample();
    // 4 lines at once, then one each second: of the one that flaps 6 in a minute, and no more.
    let mut told = changes.follow(&report).len();
    for _ in 0..59 {
        report.taken += SignedDuration::from_secs(1);
        toggle(&mut report);
        told += changes.follow(&report).len();
    }
    assert_eq!(told, 4 + 5);
    report.taken += SignedDuration::from_secs(1);
    assert_eq!(lines(&changes.follow(&report)), ["54 more changes were not logged one by one"]);
    // What is open is known all the same.
    report.taken += SignedDuration::from_secs(1);
    toggle(&mut report);
    assert_eq!(changes.follow(&report).len(), 1);
}

#[test]
fn many_at_once_are_bounded() {
    let mut changes = Changes::default();
    let mut report = sample();
    let stranger = report.unexpected.remove(0);
    report.unexpected = (0..90_u16).map(|port| Unexpected { port, ..stranger.clone() }).collect();
    report.unexpected_total = 90;
    assert_eq!(changes.follow(&report).len(), 60);
    report.taken += MINUTE;
    assert_eq!(lines(&changes.follow(&report)), ["33 more changes were not logged one by one"]);
}
