//! Texts that users read, kept as files that were looked at.

use std::path::Path;

/// Compares what `status` prints with `tests/golden/NAME.txt`, apart from times and counts. `BLESS=1` writes the
/// file anew: look at the difference.
pub fn golden(name: &str, text: &str) {
    // It begins with the name of the machine.
    let text = text.split_once(':').map_or(text, |(_, rest)| rest);
    let text = format!("HOST:{}", without_numbers(text));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
    blessed::compare(&path, &text, "cargo test -p tests --test namespaces");
}

/// Ports stay, other numbers, times and durations become `#`; lines are joined where only their
/// length broke them.
fn without_numbers(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix("            ")
            && let Some(last) = lines.last_mut()
        {
            last.push(' ');
            last.push_str(rest);
        } else {
            lines.push(line.to_owned());
        }
    }
    let mut plain = String::new();
    for line in lines {
        let mut before = "";
        let words: Vec<&str> = line.split(' ').collect();
        for (index, word) in words.iter().enumerate() {
            // How wide a column is depends on the numbers.
            if word.is_empty() && before == "ago" {
                continue;
            }
            if index > 0 {
                plain.push(' ');
            }
            let bare = word.trim_matches(['(', ')', ';', ',', ':']);
            let is_number = bare.starts_with(|c: char| c.is_ascii_digit())
                && bare.chars().all(|c| c.is_ascii_digit() || "smhd:-".contains(c))
                && before != "port";
            if is_number {
                plain.push_str(&word.replace(bare, "#"));
            } else {
                plain.push_str(word);
            }
            before = word;
        }
        plain.push('\n');
    }
    plain
}
