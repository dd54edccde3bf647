//! A real Prometheus with our rules, and what it says of itself.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::{disk, rules, server};
use crate::{
    command::{end_group, output, program, root},
    stop::Stop,
};

const ADDRESS: &str = "127.0.0.1:9090";

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// How long the start may take, in seconds.
const PATIENCE: u32 = 60;

/// Seconds after which hosts are forgotten for certain: Prometheus lets three scrapes go by before it ends their series.
const STALE: u32 = 180;

/// The first scrapes and evaluations make the series; what is measured comes after.
const WARM: u32 = 12;

/// It ends with the value.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    folder: PathBuf,
}

/// What it took.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) up: f64,
    pub(crate) series: f64,
    pub(crate) alerts: f64,
    pub(crate) samples_per_second: f64,
    pub(crate) slowest_scrape: f64,
    /// Bytes; the most that was seen.
    pub(crate) resident: f64,
    pub(crate) processors: f64,
    pub(crate) wal_bytes_per_sample: f64,
    pub(crate) groups: Vec<Group>,
    pub(crate) rules: Vec<rules::Cost>,
}

/// One group of rules; times in seconds.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) slowest: f64,
    pub(crate) interval: f64,
    pub(crate) missed: f64,
    pub(crate) evaluations: f64,
}

/// Its own metrics at one moment, by series.
type Values = BTreeMap<String, f64>;

impl Prometheus {
    /// Starts it with the example's config.
    pub(crate) fn start(folder: &Path, hosts: u16, stop: &Stop) -> anyhow::Result<Self> {
        let deploy = root().join("deploy/prometheus");
        let config = fs::read_to_string(deploy.join("prometheus.example.yml"))?
            .replace("/etc/prometheus/backupflow.rules.yml", "backupflow.rules.yml")
            .replace("/etc/prometheus/backupflow/*.json", "hosts.json");
        fs::write(folder.join("prometheus.yml"), config)?;
        let rules = "backupflow.rules.yml";
        fs::copy(deploy.join(rules), folder.join(rules)).context(rules)?;
        let targets = (0..hosts).map(|host| format!("{}:{}", server::address(host), server::PORT));
        let targets = json!([{ "targets": targets.collect::<Vec<_>>() }]);
        fs::write(folder.join("hosts.json"), targets.to_string())?;
        let config = format!("--config.file={}/prometheus.yml", folder.display());
        let data = format!("--storage.tsdb.path={}/data", folder.display());
        let listen = format!("--web.listen-address={ADDRESS}");
        let words = ["setpriv", "--pdeathsig", "TERM", "prometheus", &config, &data, &listen];
        let log = fs::File::create(folder.join("prometheus.log"))?;
        let child = program(&words).stderr(log).spawn().context("starting Prometheus")?;
        let mut prometheus = Self { child, folder: folder.to_owned() };
        for _ in 0..PATIENCE {
            stop.check()?;
            prometheus.runs()?;
            if get("/-/ready").is_ok() {
                return Ok(prometheus);
            }
            stop.pause(Duration::from_secs(1));
        }
        bail!("Prometheus does not answer")
    }

    fn runs(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = fs::read_to_string(self.folder.join("prometheus.log")).unwrap_or_default();
            bail!("Prometheus ended with {status}; its log:\n{log}");
        }
        Ok(())
    }

    /// Watches it for so long.
    pub(crate) fn watch(&mut self, how_long: Duration, stop: &Stop) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        let mut slowest: BTreeMap<String, f64> = BTreeMap::new();
        let began = server::now();
        let mut warm = None;
        for nth in 0.. {
            stop.pause(EVERY);
            stop.check()?;
            self.runs()?;
            let values = own()?;
            usage.resident = usage.resident.max(value(&values, "process_resident_memory_bytes")?);
            if nth == WARM {
                warm = Some((server::now(), values.clone()));
            }
            for (series, seconds) in &values {
                if let Some(group) = group(series, "prometheus_rule_group_last_duration_seconds")
                    && nth > WARM
                {
                    let before = slowest.entry(group.to_owned()).or_default();
                    *before = before.max(*seconds);
                }
            }
            if server::now() - began >= how_long.as_secs() {
                break;
            }
        }
        let (since, before) = warm.context("no time to measure")?;
        let after = own()?;
        let seconds = Duration::from_secs(server::now() - since).as_secs_f64();
        let rate = |name: &str| -> anyhow::Result<f64> {
            Ok((value(&after, name)? - value(&before, name)?) / seconds)
        };
        const SAMPLES: &str = "prometheus_tsdb_head_samples_appended_total";
        usage.samples_per_second = rate(SAMPLES)?;
        usage.processors = rate("process_cpu_seconds_total")?;
        usage.series = value(&after, "prometheus_tsdb_head_series")?;
        let wal = disk::size(&self.folder.join("data/wal"))?;
        usage.wal_bytes_per_sample = wal / value(&after, SAMPLES)?;
        usage.up = query("sum(up)")?;
        usage.alerts = query("count(ALERTS) or vector(0)")?;
        usage.slowest_scrape = query("max(scrape_duration_seconds)")?;
        usage.groups = slowest
            .into_iter()
            .map(|(name, slowest)| {
                let of = |metric: &str| {
                    let found = after.iter().find(|(series, _)| {
                        group(series, metric).is_some_and(|group| group == name)
                    });
                    found.map_or(f64::NAN, |(_, value)| *value)
                };
                Group {
                    slowest,
                    interval: of("prometheus_rule_group_interval_seconds"),
                    missed: of("prometheus_rule_group_iterations_missed_total"),
                    evaluations: of("prometheus_rule_group_iterations_total"),
                    name,
                }
            })
            .collect();
        ensure!(!usage.groups.is_empty(), "Prometheus has evaluated no rules");
        let measured = server::now();
        self.forget_hosts(stop)?;
        usage.rules = rules::costs(measured, stop)?;
        Ok(usage)
    }

    /// Ends the scraping, so that Prometheus has nothing to do but what it is asked for.
    fn forget_hosts(&self, stop: &Stop) -> anyhow::Result<()> {
        fs::write(self.folder.join("hosts.json"), "[]")?;
        for _ in 0..STALE {
            stop.pause(Duration::from_secs(1));
            stop.check()?;
            if query("count(up) or vector(0)")? < 1.0 {
                return Ok(());
            }
        }
        bail!("Prometheus scrapes on although it has no hosts")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        end_group(&mut self.child);
    }
}

/// The name of the group of a series such as `metric{rule_group="/a/b.yml;name"}`.
fn group<'s>(series: &'s str, metric: &str) -> Option<&'s str> {
    series.strip_prefix(metric)?.strip_suffix("\"}")?.rsplit(';').next()
}

pub(super) fn get(path: &str) -> anyhow::Result<String> {
    let url = format!("http://{ADDRESS}{path}");
    output(&mut program(&["curl", "--silent", "--fail", "--max-time", "30", &url]))
}

pub(super) fn own() -> anyhow::Result<Values> {
    let text = get("/metrics")?;
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    Ok(lines.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect())
}

/// The sum of a metric, some of which have got labels in later versions.
pub(super) fn value(values: &Values, metric: &str) -> anyhow::Result<f64> {
    let is = |series: &str| series.split('{').next() == Some(metric);
    let sum = values.iter().filter(|(series, _)| is(series)).map(|(_, value)| value);
    sum.copied().reduce(|a, b| a + b).with_context(|| format!("Prometheus has no {metric}"))
}

/// The one number that a query gives.
fn query(query: &str) -> anyhow::Result<f64> {
    let answer = ask(query, None)?;
    let number = answer["data"]["result"][0]["value"][1].as_str();
    number.and_then(|number| number.parse().ok()).with_context(|| format!("{query}: {answer}"))
}

/// What a query gives, now or at a time in seconds since 1970.
pub(super) fn ask(query: &str, at: Option<u64>) -> anyhow::Result<serde_json::Value> {
    let url = format!("http://{ADDRESS}/api/v1/query");
    let [query, time] =
        [format!("query={query}"), format!("time={}", at.unwrap_or_else(server::now))];
    let data = ["--data-urlencode", &query, "--data-urlencode", &time];
    let words = [&["curl", "--silent", "--fail", "--get"][..], &data, &[&url]].concat();
    Ok(serde_json::from_str(&output(&mut program(&words))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_by_their_name() {
        let series = "m{rule_group=\"/a/b.rules.yml;backupflow-flows\"}";
        assert_eq!(group(series, "m"), Some("backupflow-flows"));
        assert_eq!(group(series, "other"), None);
        assert_eq!(group("m 1", "m"), None);
    }
}
