//! `schedule`: windows of the week, in a time zone.

use std::fmt;
use std::ops::Range;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::log::{At, Log};
use super::section::Field;
use super::{words, written};

/// The days, as the file names them, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Windows that come back every week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The days on which a window starts, from Monday on.
    days: [bool; 7],
    from: Time,
    /// On the next day, unless it is after `from`.
    to: Time,
    zone: TimeZone,
}

impl Schedule {
    /// The windows that have ended by a moment, the last one first. One that the clocks skip does not count.
    pub fn ended(&self, now: Timestamp) -> impl Iterator<Item = Range<Zoned>> {
        let today = now.to_zoned(self.zone.clone()).date();
        std::iter::successors(Some(today), |day| day.yesterday().ok())
            .filter(|day| self.is_on(day.weekday()))
            .filter_map(|day| self.window(day))
            .filter(move |window| window.start < window.end && window.end.timestamp() <= now)
    }

    fn is_on(&self, day: Weekday) -> bool {
        let index = usize::try_from(day.to_monday_zero_offset()).ok();
        index.and_then(|index| self.days.get(index)).is_some_and(|&is_on| is_on)
    }

    /// The window that starts on a day, `None` at the ends of time.
    fn window(&self, day: Date) -> Option<Range<Zoned>> {
        let last = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let at = |day: Date, time| day.to_datetime(time).to_zoned(self.zone.clone()).ok();
        Some(at(day, self.from)?..at(last, self.to)?)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = DAYS.into_iter().zip(self.days).filter(|(_, is_on)| *is_on);
        let days: Vec<&str> = days.map(|(day, _)| day).collect();
        let clock = |time: Time| time.strftime("%H:%M").to_string();
        let zone = self.zone.iana_name().unwrap_or("local time");
        write!(f, "{} {} to {} ({zone})", days.join(","), clock(self.from), clock(self.to))
    }
}

pub(super) fn mean(schedule: &written::Schedule, log: &mut Log<'_>) -> Option<Schedule> {
    let days = mean_days(&schedule.days, log);
    let from = mean_time(&schedule.from, schedule, "from", log);
    let to = mean_time(&schedule.to, schedule, "to", log);
    let zone = mean_zone(&schedule.zone, log);
    Some(Schedule { days: days?, from: from?, to: to?, zone: zone? })
}

/// Every day, where none is named.
fn mean_days(days: &Field<Vec<At<String>>>, log: &mut Log<'_>) -> Option<[bool; 7]> {
    let names = match days {
        Field::Absent => return Some([true; 7]),
        Field::Invalid => return None,
        Field::Given(names) => &names.value,
    };
    let mut days = [false; 7];
    let mut is_good = true;
    for name in names {
        if let Some(named) = range(&name.value) {
            for index in named {
                days[index % 7] = true;
            }
        } else {
            let message =
                format!("{} is neither a day nor a range of days", words::quote(&name.value));
            let help = words::allowed("days, of which two with `-` make a range", &DAYS);
            log.fault(&name.place, message, help);
            is_good = false;
        }
    }
    is_good.then_some(days)
}

/// The days of `mon` or `fri-mon`, by number; those after Sunday begin again at 7.
fn range(text: &str) -> Option<std::ops::RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let index = |name: &str| DAYS.into_iter().position(|day| day == name);
    let (first, last) = (index(first)?, index(last)?);
    Some(first..=if last < first { last + DAYS.len() } else { last })
}

fn mean_time(
    time: &Field<String>,
    schedule: &written::Schedule,
    key: &str,
    log: &mut Log<'_>,
) -> Option<Time> {
    let time = match time {
        Field::Given(time) => time,
        Field::Invalid => return None,
        Field::Absent => {
            log.missing(&schedule.place.child(key), format!("`{key}` is missing"), None);
            return None;
        }
    };
    // The midnight at the end of a day is the one before the next.
    let text = if key == "to" && time.value == "24:00" { "00:00" } else { &time.value };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = (digits, text.len()) == (4, 5);
    let parsed = Time::strptime("%H:%M", text).ok().filter(|_| is_plain);
    if parsed.is_none() {
        let message = format!("{} is not a time of day", words::quote(&time.value));
        log.fault(
            &time.place,
            message,
            Some("write hours and minutes, such as `22:00`".to_owned()),
        );
    }
    parsed
}

/// The host's own, where none is named.
fn mean_zone(zone: &Field<String>, log: &mut Log<'_>) -> Option<TimeZone> {
    let name = match zone {
        Field::Absent => return Some(TimeZone::system()),
        Field::Invalid => return None,
        Field::Given(name) => name,
    };
    let zone = TimeZone::get(&name.value).ok();
    if zone.is_none() {
        let message = format!("{} is no time zone", words::quote(&name.value));
        let help = "write a name of the time zone database, such as `Europe/Berlin` or `UTC`";
        log.fault(&name.place, message, Some(help.to_owned()));
    }
    zone
}
