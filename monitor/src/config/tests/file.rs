//! Files, and faults as text.

use std::path::{Path, PathBuf};

use super::super::{DEFAULT_PATH, load};
use super::{FULL, refused, with};

/// A file of this test's own; removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let name = format!("backupflow-config-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn a_file_is_read_as_its_text() {
    let file = Scratch::new("full", FULL.as_bytes());
    assert_eq!(load(&file.0).unwrap().systems[0].name, "sql-backups");
}

#[test]
fn an_unreadable_file_is_one_fault_without_a_line() {
    let faults = load(Path::new("/nonexistent/config.toml")).unwrap_err();
    let fault = &faults.faults[0];
    assert_eq!(fault.file, "/nonexistent/config.toml");
    assert_eq!((fault.line, fault.column, fault.key.as_deref()), (None, None, None));
    assert!(fault.message.starts_with("cannot read the file: "), "{fault}");
    assert_eq!(faults.faults.len(), 1);
    let rendered = faults.render(false);
    assert!(rendered.contains("--> /nonexistent/config.toml\n"), "{rendered}");
    load(&std::env::temp_dir()).unwrap_err();
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let file = Scratch::new("bytes", b"a = 1\nb = '\xff'\n");
    let faults = load(&file.0).unwrap_err();
    let name = file.0.display();
    assert_eq!(faults.to_string(), format!("{name}:2:6: not UTF-8 text"));
    assert!(faults.render(false).contains("2 | b = '"));
}

#[test]
fn a_huge_file_is_refused_before_it_fills_the_memory() {
    let file = Scratch::new("huge", &vec![b'#'; (1 << 20) + 1]);
    let message = load(&file.0).unwrap_err().faults[0].message.clone();
    assert_eq!(message, "cannot read the file: larger than 1 MiB");
}

#[test]
fn the_default_path_is_a_full_path() {
    assert!(Path::new(DEFAULT_PATH).is_absolute());
}

#[test]
fn a_rendered_fault_shows_its_line_and_help() {
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\n  \"host\", # größe\n  \"hots\",\n]\n";
    let rendered = refused(text).render(false);
    let expected = "error: ibm-backup-recovery has no role `hots`\n\
                    \x20--> c.toml:5:3\n\
                    \x20 |\n\
                    5 |   \"hots\",\n\
                    \x20 |   ^^^^^^ system[0].roles[1]\n\
                    \x20 |\n\
                    \x20 = help: did you mean `host`?";
    let rendered = rendered.get(..expected.len()).unwrap();
    assert_eq!(rendered, expected);
}

#[test]
fn a_rendered_place_is_the_fault_s_own() {
    let text = with("peers.cluster = [\"größe\", \"*\"]\nname = \"open\n[web]\n\tlisten = 1");
    let faults = refused(&text);
    let rendered = faults.render(false);
    assert_eq!(faults.faults.len(), 4, "{faults}");
    for fault in &faults.faults {
        let place = format!("c.toml:{}:{}\n", fault.line.unwrap(), fault.column.unwrap());
        assert!(rendered.contains(&place), "{place} {rendered}");
    }
}

#[test]
fn colour_is_only_where_asked_for() {
    let faults = refused("x = 1\n");
    assert!(!faults.render(false).contains('\u{1b}'));
    assert!(faults.render(true).contains('\u{1b}'));
}
