//! The text of one scrape, and what it says later on another host.

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
};

/// Counters move at other times on each host, within so many seconds.
const SPREAD: u64 = 30;

/// What one host exposed.
#[derive(Debug)]
pub(crate) struct Exposition {
    text: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    /// Name and labels.
    series: String,
    value: f64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Fixed,
    /// Grows by its value in a second.
    Counter,
    /// The present, in seconds since 1970.
    Now,
}

impl Exposition {
    /// Reads what the daemon wrote. A counter that stood at zero stays there.
    pub(crate) fn new(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let value = value.parse().ok()?;
            Some(Line { series: series.to_owned(), value, kind: kind(series, value) })
        });
        let lines = lines.collect();
        Self { text, lines }
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn series(&self) -> usize {
        self.lines.len()
    }

    /// How many expectations have one of the verdicts.
    pub(crate) fn expectations_that_are(&self, verdicts: &[&str]) -> usize {
        let is = |line: &&Line| {
            line.series.starts_with("backupflow_expectation_verdict{")
                && line.value > 0.0
                && verdicts
                    .iter()
                    .any(|verdict| line.series.ends_with(&format!("verdict=\"{verdict}\"}}")))
        };
        self.lines.iter().filter(is).count()
    }

    pub(crate) fn expectations(&self) -> usize {
        let is = |line: &&Line| line.series.starts_with("backupflow_expectation_verdict{");
        self.lines.iter().filter(is).filter(|line| line.value > 0.0).count()
    }

    /// The text of a host so many seconds after the first moment, which `now` is in seconds since 1970.
    pub(crate) fn of(&self, host: u16, elapsed: u64, now: u64) -> String {
        let mut out = String::with_capacity(self.text.len() * 2);
        for (series, value) in self.values(host, elapsed, now) {
            _ = writeln!(out, "{series} {value}");
        }
        out
    }

    /// Each series with its value, as above.
    pub(crate) fn values(
        &self,
        host: u16,
        elapsed: u64,
        now: u64,
    ) -> impl Iterator<Item = (&str, f64)> {
        self.lines.iter().enumerate().map(move |(nth, line)| {
            let value = match line.kind {
                Kind::Fixed => line.value,
                Kind::Counter => {
                    let seed = (host, nth, elapsed / SPREAD);
                    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(seed);
                    let moment = elapsed - elapsed % SPREAD + hash % SPREAD;
                    line.value + (line.value * real(moment)).floor()
                }
                Kind::Now => real(now) + line.value.fract(),
            };
            (line.series.as_str(), value)
        })
    }
}

fn kind(series: &str, value: f64) -> Kind {
    const NOW: [&str; 4] = [
        "backupflow_last_drain_timestamp_seconds",
        "backupflow_state_last_write_timestamp_seconds",
        "backupflow_flow_last_seen_timestamp_seconds",
        "backupflow_expectation_last_success_timestamp_seconds",
    ];
    let name = series.split('{').next().unwrap_or(series);
    if value <= 0.0 {
        Kind::Fixed
    } else if NOW.contains(&name) {
        Kind::Now
    } else if name.ends_with("_total") {
        Kind::Counter
    } else {
        Kind::Fixed
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# TYPE a_total counter
a_total{peer="x y"} 7
b_total 0
backupflow_last_drain_timestamp_seconds 1700000000.25
backupflow_expectation_verdict{flow="f",verdict="ok"} 1
backupflow_expectation_verdict{flow="f",verdict="idle"} 0
"#;

    #[test]
    fn what_is_used_advances() {
        let scraped = Exposition::new(TEXT.to_owned());
        assert_eq!((scraped.series(), scraped.expectations()), (5, 1));
        assert_eq!(scraped.expectations_that_are(&["ok"]), 1);
        assert_eq!(scraped.expectations_that_are(&["idle", "missing"]), 0);
        let mut last = 7.0;
        for elapsed in (0..600).step_by(15) {
            let values: Vec<_> = scraped.values(3, elapsed, 1_800_000_000).collect();
            let [(series, count), (_, idle), (_, drained), (_, ok), _] = values[..] else {
                panic!("{values:?}");
            };
            assert_eq!(series, r#"a_total{peer="x y"}"#);
            assert!(count >= last, "{count} after {last}");
            assert_eq!((idle, drained, ok), (0.0, 1_800_000_000.25, 1.0));
            last = count;
        }
        assert!(last >= 7.0 + 7.0 * 570.0, "{last}");
        assert_ne!(scraped.of(1, 40, 0), scraped.of(2, 40, 0));
    }
}
