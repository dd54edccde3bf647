//! `[[system.expect]]`: which flows are due to be seen, and when.

use std::fmt;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::log::{At, Log};
use super::section::Field;
use super::{Schedule, schedule, words, written};

/// What turns off that a flow is due.
const NEVER: &str = "never";

/// What the file says of a flow, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// A flow's id, or a pattern in which `*` stands for any text.
    pub flow: String,
    /// When it is due; not [`Due::Daily`].
    pub due: Due,
}

/// When a flow has to be seen to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A quiet flow is idle, and not missing.
    Never,
    /// Within 26 hours, though the file does not say so: every regular backup goes this way. Of several
    /// peers one is enough, since a job need not use all.
    Daily,
    /// The longest time that may pass between two successes; more than zero.
    Within(SignedDuration),
    /// Windows, in each of which it has to be seen at least once.
    Schedule(Schedule),
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str(NEVER),
            Self::Daily => f.write_str("within 26h, by default"),
            Self::Within(window) => write!(f, "within {window:#}"),
            Self::Schedule(schedule) => schedule.fmt(f),
        }
    }
}

impl Presence {
    /// Whether the flow with this id is meant.
    pub fn covers(&self, flow: &str) -> bool {
        matches(&self.flow, flow)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text, the empty one too.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
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
        let due = mean_due(expect, log);
        if let Some(flow) = flow {
            if seen.contains(&flow.value.as_str()) {
                let message = format!("{} is expected twice", words::quote(&flow.value));
                log.fault(&flow.place, message, None);
            }
            seen.push(&flow.value);
        }
        presences.push(flow.zip(due).map(|(flow, due)| Presence { flow: flow.value.clone(), due }));
    }
    presences.into_iter().collect()
}

fn mean_flow<'w>(
    expect: &'w written::Expect,
    product: Option<&catalog::Product>,
    log: &mut Log<'_>,
) -> Option<&'w At<String>> {
    let flow = match &expect.flow {
        Field::Given(flow) => flow,
        Field::Invalid => return None,
        Field::Absent => {
            log.missing(&expect.place.child("flow"), "`flow` is missing", None);
            return None;
        }
    };
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

/// Exactly one of `within` and `schedule`.
fn mean_due(expect: &written::Expect, log: &mut Log<'_>) -> Option<Due> {
    let within = match &expect.within {
        Field::Given(within) => Some(mean_within(within, log)),
        Field::Invalid => Some(None),
        Field::Absent => None,
    };
    let schedule = match &expect.schedule {
        Field::Given(schedule) => Some(schedule::mean(&schedule.value, log)),
        Field::Invalid => Some(None),
        Field::Absent => None,
    };
    match (within, schedule) {
        (Some(within), None) => within,
        (None, Some(schedule)) => schedule.map(Due::Schedule),
        (Some(_), Some(_)) => {
            if let Field::Given(schedule) = &expect.schedule {
                let help = "keep one of the two: a flow is due every so often, or in its windows";
                log.fault(
                    &schedule.place,
                    "`schedule` stands beside `within`",
                    Some(help.to_owned()),
                );
            }
            None
        }
        (None, None) => {
            let help =
                "write how often the flow is due, such as `within = \"26h\"`, or a `schedule`";
            log.missing(
                &expect.place.child("within"),
                "`within` is missing",
                Some(help.to_owned()),
            );
            None
        }
    }
}

fn mean_within(within: &At<String>, log: &mut Log<'_>) -> Option<Due> {
    if within.value == NEVER {
        return Some(Due::Never);
    }
    let quoted = words::quote(&within.value);
    let message = match duration(&within.value) {
        Some(duration) if duration.is_positive() => return Some(Due::Within(duration)),
        Some(_) => format!("{quoted} is not more than zero"),
        None => format!("{quoted} is not a duration"),
    };
    let help = "write hours, minutes and seconds, such as `26h`, `90m` or `1d 2h`, or `never`";
    log.fault(&within.place, message, Some(help.to_owned()));
    None
}

/// A day is 24 hours here, whatever the clocks do; a month has no length.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}
