//! Collects faults while a config is read, and knows which of them only follow from a syntax error.

use std::collections::BTreeSet;
use std::ops::Range;

use super::fault::{Fault, Faults};

/// Where something stands: its dotted key and its bytes in the text.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Such as `system[0].roles`; empty for the document itself.
    pub(super) key: String,
    /// Absent where nothing is written, as for an empty file.
    pub(super) span: Option<Range<usize>>,
}

impl Place {
    /// The place of a key that is not there: its table's.
    pub(super) fn child(&self, key: &str) -> Self {
        Self { key: format!("{}.{key}", self.key), span: self.span.clone() }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The faults found so far in one text.
#[derive(Debug)]
pub(super) struct Log<'t> {
    file: &'t str,
    text: &'t str,
    /// The byte at which each line starts.
    starts: Vec<usize>,
    /// The lines, from 0, that could not be parsed.
    broken: BTreeSet<usize>,
    /// A table's header could not be parsed, so keys may have landed in the wrong table.
    lost: bool,
    faults: Vec<Fault>,
}

impl<'t> Log<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file,
            text,
            starts: std::iter::once(0).chain(after_newlines).collect(),
            broken: BTreeSet::new(),
            lost: false,
            faults: Vec::new(),
        }
    }

    /// Records a syntax error. The first of a line counts: the parser guesses on, and the rest is mostly its guesses.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = self.inside(error.span().unwrap_or_default());
        let line = self.line(span.start);
        let message = error.message();
        // These two stand on lines that are well formed in themselves.
        let repeated = message.starts_with("duplicate key") || message.starts_with("cannot extend");
        let is_header = self.line_text(line).trim_start().starts_with('[');
        self.lost |= is_header && !repeated;
        if self.broken.insert(line) {
            self.push(None, Some(span), super::words::one_line(message), None);
        }
    }

    /// Records a fault at a place, unless a syntax error there is the likelier reason.
    pub(super) fn fault(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let span = place.span.clone().map(|span| self.inside(span));
        if self.lost || span.as_ref().is_some_and(|span| self.is_broken(span)) {
            return;
        }
        let key = Some(place.key.clone()).filter(|key| !key.is_empty());
        self.push(key, span, message.into(), help);
    }

    /// Records that something required is not there, unless it may be on a line of its table that could not be parsed.
    pub(super) fn missing(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let lines = place
            .span
            .as_ref()
            .map_or(0..self.starts.len(), |span| self.table_from(self.line(span.start)));
        if self.broken.range(lines).next().is_none() {
            self.fault(place, message, help);
        }
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, place: &Place) -> Option<usize> {
        place.span.as_ref().map(|span| self.line(span.start) + 1)
    }

    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn finish(mut self) -> Faults {
        self.faults.sort_by_key(|fault| fault.span.as_ref().map(|span| (span.start, span.end)));
        Faults { faults: self.faults, text: self.text.to_owned() }
    }

    fn push(
        &mut self,
        key: Option<String>,
        span: Option<Range<usize>>,
        message: String,
        help: Option<String>,
    ) {
        let position = span.as_ref().map(|span| self.position(span.start));
        self.faults.push(Fault {
            file: self.file.to_owned(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            key,
            message,
            help,
            span,
        });
    }

    /// Moves a span that the end of the text cut off back to the last character that is written.
    fn inside(&self, span: Range<usize>) -> Range<usize> {
        let written = self.text.trim_end().len();
        let start = span.start.min(written);
        start..span.end.clamp(start, self.text.len())
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        let lines = self.line(span.start)..=self.line(span.end);
        self.broken.range(lines).next().is_some()
    }

    /// The line of a byte, from 0.
    fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte) - 1
    }

    /// The lines of the table whose header is on line `header`: up to the next header.
    fn table_from(&self, header: usize) -> Range<usize> {
        let after = self.text.split('\n').enumerate().skip(header + 1);
        let mut headers = after.filter(|(_, line)| line.trim_start().starts_with('['));
        header..headers.next().map_or(self.starts.len(), |(next, _)| next)
    }

    fn line_text(&self, line: usize) -> &'t str {
        self.text.split('\n').nth(line).unwrap_or_default()
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line(byte);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..byte).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }
}
