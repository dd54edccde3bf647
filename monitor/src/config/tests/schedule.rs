//! `schedule`, and the windows that it means.

use jiff::Timestamp;

use crate::config::{Due, Schedule};

use super::{accepted, faults, help, with};

fn text(schedule: &str) -> String {
    with(&format!("expect = [{{flow = \"*\", schedule = {schedule}}}]"))
}

fn schedule(schedule: &str) -> Schedule {
    match accepted(&text(schedule)).systems.remove(0).expect.remove(0).due {
        Due::Schedule(schedule) => schedule,
        other @ (Due::Never | Due::Daily | Due::Within(_)) => panic!("{other:?}"),
    }
}

/// The last windows that have ended by a moment, in UTC.
fn ended(schedule: &Schedule, now: &str, windows: usize) -> Vec<String> {
    let now: Timestamp = now.parse().unwrap();
    let ended = schedule.ended(now).take(windows);
    ended.map(|w| format!("{} {}", w.start.timestamp(), w.end.timestamp())).collect()
}

#[test]
fn window_that_passes_midnight_belongs_to_the_day_it_starts_on() {
    let nights =
        schedule(r#"{ days = ["mon-wed", "sat"], from = "22:00", to = "06:00", zone = "UTC" }"#);
    assert_eq!(nights.to_string(), "mon,tue,wed,sat 22:00 to 06:00 (UTC)");
    // 2026-01-05 is a Monday.
    let expected =
        ["2026-01-07T22:00:00Z 2026-01-08T06:00:00Z", "2026-01-06T22:00:00Z 2026-01-07T06:00:00Z"];
    assert_eq!(ended(&nights, "2026-01-08T06:00:00Z", 2), expected);
    assert_eq!(ended(&nights, "2026-01-10T23:00:00Z", 2), expected);
    assert_eq!(ended(&nights, "2026-01-08T05:59:59Z", 1), expected[1..]);
    let saturday = "2026-01-10T22:00:00Z 2026-01-11T06:00:00Z";
    assert_eq!(ended(&nights, "2026-01-12T12:00:00Z", 1), [saturday]);
}

#[test]
fn days_may_be_left_out_and_go_over_the_end_of_the_week() {
    let every = schedule(r#"{ from = "08:00", to = "24:00", zone = "UTC" }"#);
    assert_eq!(every.to_string(), "mon,tue,wed,thu,fri,sat,sun 08:00 to 00:00 (UTC)");
    let expected = "2026-01-07T08:00:00Z 2026-01-08T00:00:00Z";
    assert_eq!(ended(&every, "2026-01-08T12:00:00Z", 1), [expected]);
    let all_day = schedule(r#"{ days = ["fri-mon"], from = "00:00", to = "00:00", zone = "UTC" }"#);
    assert_eq!(all_day.to_string(), "mon,fri,sat,sun 00:00 to 00:00 (UTC)");
    let expected = "2026-01-05T00:00:00Z 2026-01-06T00:00:00Z";
    assert_eq!(ended(&all_day, "2026-01-08T12:00:00Z", 1), [expected]);
}

#[test]
fn clocks_that_are_changed_move_the_window() {
    let nights = schedule(r#"{ from = "22:00", to = "06:00", zone = "Europe/Berlin" }"#);
    for (now, expected) in [
        // Nine hours in autumn, seven in spring, eight otherwise.
        ("2026-10-25T12:00:00Z", "2026-10-24T20:00:00Z 2026-10-25T05:00:00Z"),
        ("2026-03-29T12:00:00Z", "2026-03-28T21:00:00Z 2026-03-29T04:00:00Z"),
        ("2026-03-28T12:00:00Z", "2026-03-27T21:00:00Z 2026-03-28T05:00:00Z"),
    ] {
        assert_eq!(ended(&nights, now, 1), [expected], "{now}");
    }
    // Between 2 and 3 there is no time in spring: the window is later, or none.
    let within = schedule(r#"{ from = "02:15", to = "02:45", zone = "Europe/Berlin" }"#);
    let expected = "2026-03-29T01:15:00Z 2026-03-29T01:45:00Z";
    assert_eq!(ended(&within, "2026-03-29T12:00:00Z", 1), [expected]);
    let until = schedule(r#"{ from = "02:15", to = "03:00", zone = "Europe/Berlin" }"#);
    let expected = "2026-03-28T01:15:00Z 2026-03-28T02:00:00Z";
    assert_eq!(ended(&until, "2026-03-29T12:00:00Z", 1), [expected]);
}

#[test]
fn exactly_one_of_within_and_schedule() {
    let both = with(
        "[[system.expect]]\nflow = \"*\"\nwithin = \"1h\"\nschedule = { from = \"1:00\", to = \"02:00\" }",
    );
    let expected = "7:12: system[0].expect[0].schedule: `schedule` stands beside `within`\n\
                    7:21: system[0].expect[0].schedule.from: `1:00` is not a time of day";
    assert_eq!(faults(&both), expected);
    let none = with("[[system.expect]]\nflow = \"*\"");
    assert_eq!(faults(&none), "4:1: system[0].expect[0].within: `within` is missing");
    assert!(help(&none).ends_with("or a `schedule`"));
}

#[test]
fn faults_of_a_schedule_come_at_once() {
    let text = text(
        r#"{ days = ["mon", "funday", "mon-"], to = "25:00", zone = "Europe/Berlln", until = 1 }"#,
    );
    let expected = "4:35: system[0].expect[0].schedule.from: `from` is missing\n\
                    4:52: system[0].expect[0].schedule.days[1]: `funday` is neither a day nor a range of days\n\
                    4:62: system[0].expect[0].schedule.days[2]: `mon-` is neither a day nor a range of days\n\
                    4:76: system[0].expect[0].schedule.to: `25:00` is not a time of day\n\
                    4:92: system[0].expect[0].schedule.zone: `Europe/Berlln` is no time zone\n\
                    4:109: system[0].expect[0].schedule.until: unknown key `until`";
    assert_eq!(faults(&text), expected);
}

#[test]
fn times_are_hours_and_minutes() {
    for from in ["24:00", "7:00", "22", "22:00:00", " 1:00", "-1:00", "22:60", "10pm", ""] {
        let text = text(&format!("{{ from = \"{from}\", to = \"02:00\" }}"));
        let expected =
            format!("4:44: system[0].expect[0].schedule.from: `{from}` is not a time of day");
        assert_eq!(faults(&text), expected);
    }
    let expected = "4:35: system[0].expect[0].schedule: expected a table, found a string";
    assert_eq!(faults(&text("\"mon\"")), expected);
    assert!(help(&text("\"mon\"")).starts_with("write `schedule = {"));
}
