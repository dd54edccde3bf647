//! The log: lines on standard error, and in systemd's journal with fields.

use std::{
    env, fmt, fs,
    io::{IsTerminal as _, stderr},
    os::unix::fs::MetadataExt as _,
};

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_journald::Layer as Journal;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::filter_fn,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer, debug_fn},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::report::{Change, Finding};

/// What becomes of discrepancies. These lines are whole without their fields.
const STORY: &str = "backupflow::story";

/// Starts to log. `RUST_LOG` chooses what.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let is_story = |event: &Metadata<'_>| event.target() == STORY;
    let is_other = move |event: &Metadata<'_>| !is_story(event);
    if let Some(journal) = journal() {
        let lines = lines.with_ansi(false).event_format(Ranked(Format::default().without_time()));
        let lines = lines.with_filter(filter_fn(is_other));
        registry.with(lines).with(journal.with_filter(filter_fn(is_story))).init();
    } else {
        let colour = stderr().is_terminal();
        let story = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(colour);
        let story = story.fmt_fields(debug_fn(|out, field, value| match field.name() {
            "message" => write!(out, "{value:?}"),
            _ => Ok(()),
        }));
        let lines = lines.with_ansi(colour).with_filter(filter_fn(is_other));
        registry.with(lines).with(story.with_filter(filter_fn(is_story))).init();
    }
}

/// The journal, where standard error goes there.
fn journal() -> Option<Journal> {
    let stream = env::var("JOURNAL_STREAM").ok()?;
    let stderr = fs::metadata("/proc/self/fd/2").ok()?;
    if stream != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    Some(tracing_journald::layer().ok()?.with_field_prefix(Some("BACKUPFLOW".to_owned())))
}

/// Lines with a priority that the journal reads, in place of a time, which it has itself.
struct Ranked(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Ranked
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        write!(out, "<{priority}>")?;
        self.0.format_event(context, out, event)
    }
}

/// Logs what became of a discrepancy.
pub fn tell(change: &Change) {
    match change {
        Change::Opened(finding) | Change::Altered(finding, ..) => {
            let Finding { system, flow, peers, verdict, cause, since, .. } = finding;
            let cause = cause.name();
            tracing::warn!(target: STORY, system, flow, peers, verdict, cause, %since, "{change}");
        }
        Change::Closed(finding, lasted, verdict) => {
            let Finding { system, flow, peers, cause, since, .. } = finding;
            let (cause, lasted) = (cause.name(), lasted.as_secs());
            tracing::info!(
                target: STORY, system, flow, peers, verdict, cause, %since, lasted, "{change}"
            );
        }
        Change::LeftOut(_) => tracing::warn!(target: STORY, "{change}"),
    }
}
