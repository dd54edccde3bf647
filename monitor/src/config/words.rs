//! The wording that faults share.

/// Longest text that a message repeats, in characters.
const EXCERPT: usize = 120;
/// Longest list of allowed words beside a suggestion.
const BESIDE_SUGGESTION: usize = 8;
/// Most words that a suggestion names.
const MOST_SUGGESTED: usize = 8;
/// Shortest part of a word that says which word is meant, in characters.
const PART: usize = 2;

/// The user's text in backticks, fit for a message.
pub(super) fn quote(text: &str) -> String {
    format!("`{}`", one_line(text))
}

/// The text without line breaks and control characters, cut at a length that a terminal can take.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(EXCERPT).flat_map(printable).collect();
    if text.chars().nth(EXCERPT).is_some() {
        line.push('…');
    }
    line
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// What to write instead of `written`: the word that is meant, where one comes near, and the allowed words.
///
/// `what` names the words in the plural, such as `roles of dlo`.
pub(crate) fn instead(
    written: &str,
    what: &str,
    words: impl Iterator<Item: AsRef<str>>,
) -> Option<String> {
    let words: Vec<_> = words.collect();
    let mut words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.sort_unstable();
    words.dedup();
    let allowed = allowed(what, &words)?;
    match suggestion(written, &words) {
        Some(question) if words.len() > BESIDE_SUGGESTION => Some(question),
        Some(question) => Some(format!("{question} {allowed}")),
        None => Some(allowed),
    }
}

/// Asks whether the closest word is meant, or one of those that `written` is a part of.
pub(crate) fn suggestion(written: &str, words: &[&str]) -> Option<String> {
    let meant = match closest(written, words) {
        Some(word) => vec![word],
        None => containing(written, words),
    };
    let mut quoted: Vec<String> = meant.iter().map(|word| format!("`{word}`")).collect();
    if quoted.len() > MOST_SUGGESTED {
        quoted.truncate(MOST_SUGGESTED);
        return Some(format!("did you mean one of {}, …?", quoted.join(", ")));
    }
    let last = quoted.pop()?;
    Some(match quoted.as_slice() {
        [] => format!("did you mean {last}?"),
        others => format!("did you mean {} or {last}?", others.join(", ")),
    })
}

/// A sentence that lists the allowed words, or nothing where there are none.
pub(super) fn allowed(what: &str, words: &[&str]) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Some(format!("{what}: {}", quoted.join(", ")))
}

/// The word that a typing error would turn into `written`.
fn closest<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    // Words are short; a longer text is not a misspelt one, and comparing it costs its square.
    if written.len() > 100 {
        return None;
    }
    let written = written.to_lowercase().replace('_', "-");
    let distance = |word: &str| {
        let word = word.to_lowercase().replace('_', "-");
        strsim::damerau_levenshtein(&written, &word)
    };
    let (word, errors) =
        words.iter().map(|word| (*word, distance(word))).min_by_key(|(_, errors)| *errors)?;
    let tolerated = (written.chars().count() / 3).max(1);
    (errors <= tolerated).then_some(word)
}

/// The words that `part` is a part of, however it is hyphenated: `sql` and `mssql` of `ms-sql-server`.
fn containing<'w>(part: &str, words: &[&'w str]) -> Vec<&'w str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '*'], "");
    let part = plain(part);
    if part.chars().count() < PART {
        return Vec::new();
    }
    words.iter().copied().filter(|word| plain(word).contains(&part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_the_closest_word_or_those_with_the_part() {
        let words = ["host", "ms-sql-cluster", "ms-sql-server", "oracle"];
        let said = |written| suggestion(written, &words);
        assert_eq!(said("hots").as_deref(), Some("did you mean `host`?"));
        assert_eq!(said("ORACL").as_deref(), Some("did you mean `oracle`?"));
        for written in ["sql", "mssql", "MS_SQL", "*sql*"] {
            let expected = "did you mean `ms-sql-cluster` or `ms-sql-server`?";
            assert_eq!(said(written).as_deref(), Some(expected), "{written}");
        }
        assert_eq!(said("sqlserver").as_deref(), Some("did you mean `ms-sql-server`?"));
        assert_eq!(["s", "*", "", "tape"].map(said), [const { None }; 4]);
    }

    #[test]
    fn of_many_words_with_the_part_the_first_are_named() {
        let words: Vec<String> = (10..30).map(|port| format!("agent-{port}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let expected = "did you mean one of `agent-10`, `agent-11`, `agent-12`, `agent-13`, \
                        `agent-14`, `agent-15`, `agent-16`, `agent-17`, …?";
        assert_eq!(suggestion("agen", &words).as_deref(), Some(expected));
    }
}
