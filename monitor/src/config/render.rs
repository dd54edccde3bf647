//! Faults for the terminal, as a compiler prints them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::fault::{Fault, Faults};

pub(super) fn render(faults: &Faults, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for fault in &faults.faults {
        out.push_str(&render_one(fault, &faults.text, &renderer));
        out.push_str("\n\n");
    }
    out.pop();
    out
}

fn render_one(fault: &Fault, text: &str, renderer: &Renderer) -> String {
    let group = Level::ERROR.primary_title(fault.message.as_str());
    let key = fault.key.as_deref().unwrap_or_default();
    let group = match (fault.line, &fault.span) {
        (Some(line), Some(span)) => {
            let (source, span) = first_line(text, span);
            let mark = AnnotationKind::Primary.span(span);
            let mark = if key.is_empty() { mark } else { mark.label(key) };
            let snippet = Snippet::source(source).path(fault.file.as_str()).line_start(line);
            group.element(snippet.annotation(mark))
        }
        _ if key.is_empty() => group.element(Origin::path(fault.file.as_str())),
        _ => group
            .element(Origin::path(fault.file.as_str()))
            .element(Level::NOTE.message(format!("the key is `{key}`"))),
    };
    let group = match &fault.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    };
    renderer.render(&[group])
}

/// The line on which a span starts, and the part of the span that lies on it.
fn first_line<'t>(text: &'t str, span: &Range<usize>) -> (&'t str, Range<usize>) {
    let (before, after) = text.split_at_checked(span.start).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| before.len() + newline);
    let line = text.get(start..end).unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let from = (span.start - start).min(line.len());
    let to = span.end.saturating_sub(start).clamp(from, line.len());
    (line, from..to)
}
