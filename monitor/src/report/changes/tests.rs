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

/// A report in which so many strangers are seen, and nothing else new.
fn with_strangers(strangers: u16) -> Report {
    let mut report = sample();
    let stranger = report.unexpected.remove(0);
    report.unexpected =
        (0..strangers).map(|port| Unexpected { port, ..stranger.clone() }).collect();
    report.unexpected_total = usize::from(strangers);
    report
}

/// A report with so many more discrepancies like its first.
fn with_discrepancies(more: u16) -> Report {
    let mut report = sample();
    let first = report.expectations[0].clone();
    let others = (0..more).map(|n| Expectation { system: format!("s{n:03}"), ..first.clone() });
    report.expectations.extend(others);
    report
}

#[test]
fn strangers_are_bounded_and_take_no_line_of_an_expectation() {
    let mut changes = Changes::default();
    let mut report = with_strangers(90);
    let (mut failing, first) = (report.clone(), report.expectations[0].clone());
    report.expectations[0].verdict = Verdict::Ok;
    // Two discrepancies and as many strangers as fit.
    assert_eq!(changes.follow(&report).len(), 2 + 60);
    failing.taken += SignedDuration::from_secs(1);
    let opened = changes.follow(&failing);
    assert!(matches!(&opened[..], [Change::Opened(it)] if it.place == first.place()), "{opened:?}");
    failing.taken += MINUTE;
    assert_eq!(lines(&changes.follow(&failing)), ["30 more changes were not logged one by one"]);
    // Those that were logged are over, the others were never there for a reader.
    failing.unexpected.clear();
    failing.unexpected_total = 0;
    failing.taken += MINUTE;
    assert_eq!(changes.follow(&failing).len(), 60);
    failing.taken += MINUTE;
    assert_eq!(lines(&changes.follow(&failing)), ["30 more changes were not logged one by one"]);
}

#[test]
fn discrepancies_without_room_are_logged_when_there_is() {
    let mut changes = Changes::default();
    let mut report = with_discrepancies(97);
    // 100 and a stranger.
    assert_eq!(changes.follow(&report).len(), 60 + 1);
    report.taken += MINUTE - SignedDuration::from_secs(1);
    assert_eq!(changes.follow(&report), []);
    report.taken += SignedDuration::from_secs(1);
    let later = changes.follow(&report);
    assert_eq!(later.len(), 40);
    assert!(later.iter().all(|change| matches!(change, Change::Opened(_))), "{later:?}");

    // So are their ends.
    report.expectations.iter_mut().for_each(|it| (it.verdict, it.cause) = (Verdict::Ok, None));
    report.taken += MINUTE;
    assert_eq!(changes.follow(&report).len(), 60);
    report.taken += MINUTE;
    let later = changes.follow(&report);
    assert_eq!(later.len(), 40);
    assert!(later.iter().all(|change| matches!(change, Change::Closed(..))), "{later:?}");
    report.taken += MINUTE;
    assert_eq!(changes.follow(&report), []);
}

#[test]
fn strangers_that_the_log_has_open_are_bounded() {
    let mut changes = Changes::default();
    let mut report = with_strangers(0);
    for minute in 0..40_u16 {
        let all = with_strangers(60 * (minute + 1));
        report.unexpected = all.unexpected.into_iter().skip(60 * usize::from(minute)).collect();
        report.unexpected_total = 5000;
        report.taken += MINUTE;
        changes.follow(&report);
    }
    let logged = changes.logged.values().filter(|finding| finding.is_unexpected());
    assert_eq!(logged.count(), MOST_UNEXPECTED);
}
