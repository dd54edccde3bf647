//! What `doctor` says on each kernel, against texts that were looked at.

use std::{fs, path::PathBuf};

use super::kernel::Fetched;
use crate::command::root;

fn file(fetched: &Fetched) -> PathBuf {
    root().join("xtask/src/vmtest/doctor").join(format!("{}.txt", fetched.kernel.line))
}

/// Releases come and go, what a line can do stays.
fn lasting(fetched: &Fetched, said: &str) -> String {
    said.replace(&fetched.release, fetched.kernel.line)
}

/// Writes down what it says.
pub(super) fn write(fetched: &Fetched, said: &str) -> anyhow::Result<()> {
    let file = file(fetched);
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(fs::write(file, lasting(fetched, said))?)
}

/// Says whether it differs.
pub(super) fn compare(fetched: &Fetched, said: &str) -> Option<String> {
    let known = fs::read_to_string(file(fetched)).unwrap_or_default();
    (known != lasting(fetched, said))
        .then(|| format!("doctor does not say what is in {}", file(fetched).display()))
}
