//! `web.toml` with a certificate and a key beside it. The three are separated by a zero byte.

use std::{fs, sync::LazyLock};

use monitor::config::load_web;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().unwrap());

/// Takes the three files.
pub fn web(bytes: &[u8]) {
    // A path could lead to what blocks, or out of the folder.
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.contains(&b'/') || text.contains(&b'\\') {
        return;
    }
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    for name in ["web.toml", "cert.pem", "key.pem"] {
        fs::write(FOLDER.path().join(name), parts.next().unwrap_or_default()).unwrap();
    }
    let read = load_web(&FOLDER.path().join("web.toml"));
    assert!(!read.stamps.is_empty(), "the file itself is not followed");
    if let Err(faults) = read.guard {
        assert!(!faults.to_string().is_empty(), "refused without a word");
        drop(faults.render(false));
    }
}
