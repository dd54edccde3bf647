//! Texts, schemas and documents that are made by the program and kept as files that somebody has looked at.

use std::{env, fs, path::Path};

use similar::TextDiff;

/// Fails with the lines that differ if a file is not this text. With `BLESS=1` the file is written anew; `command`
/// is what does so for this file.
#[expect(clippy::unwrap_used, reason = "a file that cannot be written ends the test")]
#[track_caller]
pub fn compare(file: &Path, text: &str, command: &str) {
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        return;
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().display();
    assert!(
        kept == text,
        "{name} is not what the program says now:\n\n{}\n\
         If this is meant, write the file anew, and look at the difference before you commit it:\n\n    \
         BLESS=1 {command}\n",
        difference(&kept, text),
    );
}

/// The lines that differ, with three on either side.
fn difference(kept: &str, text: &str) -> String {
    let difference = TextDiff::from_lines(kept, text);
    difference.unified_diff().header("kept", "now").to_string()
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    fn refused(kept: Option<&str>, text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.schema.json");
        if let Some(kept) = kept {
            fs::write(&file, kept).unwrap();
        }
        let compared = panic::catch_unwind(|| compare(&file, text, "cargo test -p a --test b"));
        compared.err().map(|said| *said.downcast::<String>().unwrap())
    }

    #[test]
    fn only_the_lines_that_differ_are_shown_with_three_around_them() {
        let kept: String = ('a'..='z').flat_map(|letter| [letter, '\n']).collect();
        assert_eq!(refused(Some(&kept), &kept), None);
        assert_eq!(
            refused(Some(&kept), &kept.replace('m', "M")).unwrap(),
            "a.schema.json is not what the program says now:\n\n\
             --- kept\n+++ now\n@@ -10,7 +10,7 @@\n j\n k\n l\n-m\n+M\n n\n o\n p\n\n\
             If this is meant, write the file anew, and look at the difference before you commit it:\n\n    \
             BLESS=1 cargo test -p a --test b\n"
        );
    }

    #[test]
    fn a_file_that_is_not_there_has_no_lines() {
        let said = refused(None, "one\n").unwrap();
        assert!(said.contains("@@ -0,0 +1 @@\n+one\n"), "{said}");
    }
}
