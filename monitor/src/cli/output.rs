//! Prints to standard output, where a reader that went away is no failure.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

/// Prints text as it is.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Columns of the terminal, or enough where it is not one.
pub(crate) fn width() -> u16 {
    const WIDE: u16 = 160;
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(|| comfy_table::Table::new().width()).unwrap_or(WIDE)
}
