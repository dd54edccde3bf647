//! The wording that faults share.

/// Longest text that a message repeats, in characters.
const EXCERPT: usize = 120;
/// Longest list of allowed words beside a suggestion.
const BESIDE_SUGGESTION: usize = 8;

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

/// What to write instead of `written`: the closest word where one is close, and the allowed words.
///
/// `what` names the words in the plural, such as `roles of dlo`.
pub(super) fn instead(
    written: &str,
    what: &str,
    words: impl Iterator<Item: AsRef<str>>,
) -> Option<String> {
    let words: Vec<_> = words.collect();
    let mut words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.sort_unstable();
    words.dedup();
    let allowed = allowed(what, &words)?;
    match closest(written, &words) {
        Some(word) if words.len() > BESIDE_SUGGESTION => Some(format!("did you mean `{word}`?")),
        Some(word) => Some(format!("did you mean `{word}`? {allowed}")),
        None => Some(allowed),
    }
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
