//! What each rule costs in processor time, which other work on the machine does not change.

use anyhow::Context as _;
use serde_json::Value;

use super::prometheus::{ask, get, own, value};
use crate::stop::Stop;

/// Prometheus counts its processor time in steps of 10 ms.
const TIMES: u32 = 5;

/// One rule.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) group: String,
    pub(crate) name: String,
    /// Seconds of a processor for one evaluation, without writing down what it gives.
    pub(crate) processor: f64,
    /// Series that it gives.
    pub(crate) series: usize,
}

/// Asks for every rule's query at a time at which all hosts were scraped.
pub(super) fn costs(at: u64, stop: &Stop) -> anyhow::Result<Vec<Cost>> {
    let rules: Value = serde_json::from_str(&get("/api/v1/rules")?)?;
    let groups = rules["data"]["groups"].as_array().context("no groups of rules")?;
    let mut costs = Vec::new();
    for group in groups {
        for rule in group["rules"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let query = text(&rule["query"]);
            let series = ask(&query, Some(at))?["data"]["result"].as_array().map_or(0, Vec::len);
            let before = processor()?;
            for _ in 0..TIMES {
                stop.check()?;
                ask(&query, Some(at))?;
            }
            let processor = (processor()? - before) / f64::from(TIMES);
            costs.push(Cost {
                group: text(&group["name"]),
                name: text(&rule["name"]),
                processor,
                series,
            });
        }
    }
    Ok(costs)
}

/// Seconds of a processor that Prometheus has used.
fn processor() -> anyhow::Result<f64> {
    value(&own()?, "process_cpu_seconds_total")
}
