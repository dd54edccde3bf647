//! `[[system.expect]]`: which flows are due to be seen, and how often.

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::log::{At, Log};
use super::section::Field;
use super::{words, written};

/// A flow, or several, that must be seen every so often; without one, a quiet flow is idle and not missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// A flow's id, or a pattern in which `*` stands for any text.
    pub flow: String,
    /// The longest time that may pass between two sightings; more than zero.
    pub within: SignedDuration,
}

impl Presence {
    /// Whether the flow with this id is meant.
    pub fn covers(&self, flow: &str) -> bool {
        matches(&self.flow, flow)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text, the empty one too.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail));
    let Some(mut inner) = inner else {
        return false;
    };
    for part in middle.split('*') {
        match inner.split_once(part) {
            Some((_, after)) => inner = after,
            None => return false,
        }
    }
    true
}

pub(super) fn mean_all(
    written: &[written::Expect],
    product: Option<&catalog::Product>,
    log: &mut Log<'_>,
) -> Option<Vec<Presence>> {
    let mut seen: Vec<&str> = Vec::new();
    let mut presences = Vec::new();
    for expect in written {
        let flow = mean_flow(expect, product, log);
        let within = mean_within(expect, log);
        if let Some(flow) = flow {
            if seen.contains(&flow.value.as_str()) {
                let message = format!("{} is expected twice", words::quote(&flow.value));
                log.fault(&flow.place, message, None);
            }
            seen.push(&flow.value);
        }
        presences.push(
            flow.zip(within).map(|(flow, within)| Presence { flow: flow.value.clone(), within }),
        );
    }
    presences.into_iter().collect()
}

fn mean_flow<'w>(
    expect: &'w written::Expect,
    product: Option<&catalog::Product>,
    log: &mut Log<'_>,
) -> Option<&'w At<String>> {
    let flow = required(&expect.flow, expect, "flow", log)?;
    let Some(product) = product else {
        return Some(flow);
    };
    let ids = || product.flows.iter().map(|flow| flow.id.as_str());
    if ids().any(|id| matches(&flow.value, id)) {
        return Some(flow);
    }
    let what = format!("flows of {}", product.id);
    let message = format!("{} matches no flow of {}", words::quote(&flow.value), product.id);
    log.fault(&flow.place, message, words::instead(&flow.value, &what, ids()));
    None
}

fn mean_within(expect: &written::Expect, log: &mut Log<'_>) -> Option<SignedDuration> {
    let within = required(&expect.within, expect, "within", log)?;
    let quoted = words::quote(&within.value);
    let message = match duration(&within.value) {
        Some(duration) if duration.is_positive() => return Some(duration),
        Some(_) => format!("{quoted} is not more than zero"),
        None => format!("{quoted} is not a duration"),
    };
    let help = "write hours, minutes and seconds, such as `26h`, `90m` or `1d 2h`";
    log.fault(&within.place, message, Some(help.to_owned()));
    None
}

/// A day is 24 hours here, whatever the clocks do; a month has no length.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

fn required<'w>(
    field: &'w Field<String>,
    expect: &written::Expect,
    key: &str,
    log: &mut Log<'_>,
) -> Option<&'w At<String>> {
    match field {
        Field::Given(value) => Some(value),
        Field::Invalid => None,
        Field::Absent => {
            log.missing(&expect.place.child(key), format!("`{key}` is missing"), None);
            None
        }
    }
}
