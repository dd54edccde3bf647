//! Names on a clock that the test moves.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::proto::rr::Name;
use jiff::{SignedDuration, Timestamp};

use super::{
    known::{Answer, Failure, Family, Known, News},
    system::{NoRecords, completions, merge},
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn set(addresses: &[&str]) -> std::collections::BTreeSet<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

fn given(addresses: &[&str], ttl: u64) -> Answer {
    Answer::Given { addresses: set(addresses), ttl: Some(seconds(ttl)), unanswered: None }
}

fn failed() -> Answer {
    Answer::Failed(Failure::Query("request timed out".to_owned()))
}

#[test]
fn asked_again_when_the_ttl_has_run_out() {
    let mut known = Known::default();
    // The first times, whatever the TTL: a pool gives another answer at once.
    for second in 0..4 {
        assert_eq!(known.take_in(given(&["10.0.0.1"], 86_400), at(second)).0, seconds(5));
    }
    let mut wait = |answer| known.take_in(answer, at(4)).0;
    for (ttl, expected) in [(0, 5), (4, 5), (5, 5), (6, 6), (3600, 3600), (86_400, 3600)] {
        assert_eq!(wait(given(&["10.0.0.1"], ttl)), seconds(expected), "{ttl}");
        assert_eq!(wait(given(&[], ttl)), seconds(expected), "{ttl}");
    }
    let without_ttl = Answer::Given { addresses: set(&[]), ttl: None, unanswered: None };
    assert_eq!(wait(without_ttl), seconds(60));
}

#[test]
fn failure_backs_off_and_keeps_the_addresses() {
    let mut known = Known::default();
    known.take_in(given(&["10.0.0.1"], 60), at(0));
    let mut waits = Vec::new();
    let mut news = Vec::new();
    for second in 0..40 {
        let (wait, new) = known.take_in(failed(), at(second));
        waits.push(wait.as_secs());
        news.extend(new);
    }
    assert_eq!(waits[..6], [5, 10, 20, 40, 60, 60]);
    assert_eq!(waits[39], 60);
    assert_eq!(news, [News::Failing("request timed out".to_owned())]);
    assert_eq!((&known.addresses, known.since), (&set(&["10.0.0.1"]), Some(at(0))));

    let (wait, news) = known.take_in(given(&["10.0.0.1"], 60), at(50));
    assert_eq!((wait, news), (seconds(5), Some(News::Recovered)));
    assert_eq!((known.changes, known.since), (0, Some(at(0))));
    assert_eq!(known.take_in(failed(), at(60)).0, seconds(5));
}

#[test]
fn without_a_server_nothing_more_is_said() {
    let mut known = Known::default();
    let answer = known.take_in(Answer::Failed(Failure::NoServer), at(0));
    assert_eq!(answer, (seconds(5), None));
    assert_eq!(known.since, None);
}

#[test]
fn changes_are_counted_after_the_first_answer() {
    let mut known = Known::default();
    let mut take_in = |addresses: &[&str], second| {
        let (_, news) = known.take_in(given(addresses, 60), at(second));
        (news, known.changes, known.since)
    };
    let changed = |old: &[&str]| Some(News::Changed(set(old)));
    assert_eq!(take_in(&["10.0.0.2", "10.0.0.1"], 1), (Some(News::First), 0, Some(at(1))));
    assert_eq!(take_in(&["10.0.0.1", "10.0.0.2"], 2), (None, 0, Some(at(1))));
    assert_eq!(take_in(&["10.0.0.1"], 3), (changed(&["10.0.0.1", "10.0.0.2"]), 1, Some(at(3))));
    assert_eq!(take_in(&[], 4), (changed(&["10.0.0.1"]), 2, Some(at(4))));
    assert_eq!(take_in(&[], 5), (None, 2, Some(at(4))));
    assert_eq!(take_in(&["fd00::1"], 6), (changed(&[]), 3, Some(at(6))));
    assert_eq!(known.addresses, set(&["fd00::1"]));
}

#[test]
fn family_that_was_not_answered_stays() {
    let mut known = Known::default();
    known.take_in(given(&["10.0.0.1", "fd00::1"], 60), at(0));
    let half = |addresses, unanswered| Answer::Given {
        addresses: set(addresses),
        ttl: Some(seconds(60)),
        unanswered: Some(unanswered),
    };
    assert_eq!(known.take_in(half(&["10.0.0.1"], Family::V6), at(1)).1, None);
    known.take_in(half(&["10.0.0.2"], Family::V6), at(2));
    assert_eq!(known.addresses, set(&["10.0.0.2", "fd00::1"]));
    known.take_in(half(&["fd00::2"], Family::V4), at(3));
    assert_eq!((known.addresses, known.changes), (set(&["10.0.0.2", "fd00::2"]), 2));
}

#[test]
fn both_types_of_records_make_the_answer() {
    let records = |address, ttl| Ok((set(&[address]), seconds(ttl)));
    let absent = |ttl: Option<u64>| Err(NoRecords::Absent(ttl.map(seconds)));
    let failed = || Err(NoRecords::Failed("request timed out".to_owned()));
    let half = |address, family| Answer::Given {
        addresses: set(&[address]),
        ttl: Some(seconds(60)),
        unanswered: Some(family),
    };
    let v4 = || records("10.0.0.1", 60);
    let v6 = || records("fd00::1", 30);
    assert_eq!(merge(v4(), v6()), given(&["10.0.0.1", "fd00::1"], 30));
    assert_eq!(merge(v4(), absent(Some(10))), given(&["10.0.0.1"], 60));
    assert_eq!(merge(absent(Some(10)), v6()), given(&["fd00::1"], 30));
    assert_eq!(merge(v4(), failed()), half("10.0.0.1", Family::V6));
    assert_eq!(merge(failed(), records("fd00::1", 60)), half("fd00::1", Family::V4));
    assert_eq!(merge(absent(Some(20)), absent(Some(10))), given(&[], 10));
    assert_eq!(merge(absent(None), absent(Some(10))), given(&[], 10));
    for (v4, v6) in [(absent(Some(10)), failed()), (failed(), absent(None)), (failed(), failed())] {
        assert_eq!(merge(v4, v6), self::failed());
    }
}

#[test]
fn short_names_are_completed() {
    let search = [Name::from_ascii("a.example.").unwrap(), Name::from_ascii("b.example.").unwrap()];
    let completed = |name, dots| {
        let names = completions(&Name::from_ascii(name).unwrap(), &search, dots);
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(completed("br", 1), ["br.a.example.", "br.b.example.", "br."]);
    let whole_first = ["br.site.", "br.site.a.example.", "br.site.b.example."];
    assert_eq!(completed("br.site", 1), whole_first);
    assert_eq!(completed("br.site", 2), ["br.site.a.example.", "br.site.b.example.", "br.site."]);
}

#[test]
fn address_of_the_answer_before_is_used_for_its_ttl() {
    let mut known = Known::default();
    known.take_in(given(&["10.0.0.1"], 60), at(0));
    assert!(!known.may_have_others());
    known.take_in(given(&["10.0.0.2"], 60), at(60));
    assert!(known.may_have_others());
    let in_use = |known: &Known, second| known.in_use(at(second)).into_iter().collect();
    assert_eq!(set(&["10.0.0.1", "10.0.0.2"]), in_use(&known, 119));
    assert_eq!(set(&["10.0.0.2"]), in_use(&known, 120));
    // The same again, four times.
    for second in [120, 180, 240, 300] {
        known.take_in(given(&["10.0.0.2"], 60), at(second));
    }
    assert!(!known.may_have_others());
    known.take_in(given(&[], 60), at(360));
    assert_eq!(set(&[]), in_use(&known, 360));
}

#[test]
fn pool_is_learned_answer_by_answer() {
    let mut known = Known::default();
    let mut news = Vec::new();
    for number in 0..400_i64 {
        let address = format!("10.0.{}.{}", number / 200, number % 200);
        let (wait, new) = known.take_in(given(&[&address], 4), at(number * 5));
        assert_eq!(wait, seconds(5));
        news.extend(new);
    }
    let changed = |old: &[&str]| News::Changed(set(old));
    let said = [News::First, changed(&["10.0.0.0"]), changed(&["10.0.0.1"]), News::Rotating];
    assert_eq!(news, said);
    assert_eq!(known.changes, 399);
    // The last answer, and the latest ones before.
    let in_use: std::collections::BTreeSet<IpAddr> = known.in_use(at(2000)).into_iter().collect();
    assert_eq!(in_use.len(), 257);
    let is_in_use = |address: &str| in_use.contains(&address.parse().unwrap());
    assert!(is_in_use("10.0.1.199") && is_in_use("10.0.0.143") && !is_in_use("10.0.0.142"));
    assert_eq!(known.in_use(at(2000 + 26 * 3600)), ["10.0.1.199".parse::<IpAddr>().unwrap()]);
    // A name that is no more has none of them.
    known.take_in(given(&[], 4), at(2005));
    assert_eq!(known.in_use(at(2005)), [] as [IpAddr; 0]);
}
