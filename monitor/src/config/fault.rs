//! What is wrong with a config file, and where.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// One thing that is wrong with the config file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file's name as the user gave it.
    pub file: String,
    /// The line, from 1; absent where the fault belongs to no line (an unreadable file, nothing configured).
    pub line: Option<usize>,
    /// The column in characters, from 1; present where `line` is.
    pub column: Option<usize>,
    /// The dotted key, such as `system[0].peers.cluster[1]`; absent for syntax errors and unreadable files.
    pub key: Option<String>,
    /// What is wrong, as a lower-case fragment on one line.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
    /// The bytes of the text at fault; present where `line` is.
    #[serde(skip)]
    pub(super) span: Option<Range<usize>>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with a config file.
///
/// Displayed, it is one line per fault: `FILE:LINE:COLUMN: key: message`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", one_a_line(.faults))]
pub struct Faults {
    /// The faults in the order of the text, those without a line first.
    pub faults: Vec<Fault>,
    /// The text that the faults' spans point into.
    pub(super) text: String,
}

impl Faults {
    /// The one fault of a file that could not be read at all.
    pub(super) fn unreadable(file: String, message: String, help: Option<String>) -> Self {
        let fault = Fault { file, line: None, column: None, key: None, message, help, span: None };
        Self { faults: vec![fault], text: String::new() }
    }

    /// The first one, and how many more there are, on one line.
    pub fn summary(&self) -> String {
        let first = self.faults.first().map(ToString::to_string).unwrap_or_default();
        match self.faults.len().saturating_sub(1) {
            0 => first,
            more => format!("{first} (and {more} more)"),
        }
    }

    /// The faults as a compiler would print them, each with its source line; ends in a newline.
    ///
    /// With `colour`, the text carries ANSI escapes.
    pub fn render(&self, colour: bool) -> String {
        super::render::render(self, colour)
    }
}

fn one_a_line(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
