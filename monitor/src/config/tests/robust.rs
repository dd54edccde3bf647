//! No text makes the reader panic, and every refusal says why.

use super::{FULL, parse};

/// Reads a text, and checks that a refusal names places that exist and can be shown.
fn survives(text: &str) {
    let Err(faults) = parse("c.toml", text) else {
        return;
    };
    assert!(!faults.faults.is_empty(), "refused without a fault: {text:?}");
    let lines = text.split('\n').count();
    for fault in &faults.faults {
        assert!(fault.line.is_none_or(|line| (1..=lines).contains(&line)), "{fault} in {text:?}");
        assert_eq!(fault.to_string().lines().count(), 1, "{fault:?}");
    }
    assert!(!faults.render(false).is_empty());
}

#[test]
fn every_beginning_of_a_config_is_read() {
    for (end, _) in FULL.char_indices() {
        survives(FULL.get(..end).unwrap());
    }
}

#[test]
fn every_config_without_one_character_is_read() {
    for (at, c) in FULL.char_indices() {
        let (before, after) = FULL.split_at(at);
        survives(&format!("{before}{}", after.strip_prefix(c).unwrap()));
    }
}

#[test]
fn every_config_with_one_character_too_many_is_read() {
    let strange = [
        '[',
        ']',
        '{',
        '"',
        '\'',
        '=',
        '.',
        ',',
        '\n',
        '\r',
        '\0',
        '-',
        '*',
        '/',
        ':',
        '7',
        '\\',
        'ß',
        '\u{1f980}',
    ];
    for (at, _) in FULL.char_indices() {
        let (before, after) = FULL.split_at(at);
        for c in strange {
            survives(&format!("{before}{c}{after}"));
        }
    }
}

#[test]
fn arbitrary_tokens_are_read() {
    let tokens = [
        "[[system]]",
        "[",
        "]",
        "[system.",
        "system",
        "product",
        "roles",
        "peers",
        ".",
        "=",
        "\"",
        "'''",
        "\"\"\"",
        "{",
        "}",
        ",",
        "\n",
        "\r\n",
        " ",
        "\t",
        "#",
        "1",
        "-",
        "0x",
        "1e400",
        "nan",
        "2024-01-01",
        "true",
        "\"host\"",
        "\"10.0.0.1/8\"",
        "\"ibm-backup-recovery\"",
        "within",
        "\"1h\"",
        "é",
        "\u{feff}",
        "\u{202e}",
        "\0",
        "\u{7f}",
        "\\u12",
        "expect",
        "[[",
        "]]",
    ];
    // A linear congruential generator: the same texts on every run.
    let mut state: u64 = 1;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..4000 {
        let text: String = (0..next(40)).map(|_| tokens[next(tokens.len())]).collect();
        survives(&text);
    }
}

#[test]
fn deep_and_long_texts_are_read() {
    for text in [
        "a.".repeat(100_000) + "a = 1",
        "a = ".to_owned() + &"[".repeat(100_000),
        "a = ".to_owned() + &"{a = ".repeat(100_000),
        "[".to_owned() + &"a.".repeat(100_000) + "a]",
        format!("[[system]]\nproduct = \"{}\"", "x".repeat(500_000)),
        format!("[[system]]\npeers.a = [\"{}\"]", "1:".repeat(100_000)),
        format!("[[system]]\nexpect = [{{flow = \"{}\", within = \"1h\"}}]", "*".repeat(100_000)),
    ] {
        survives(&text);
    }
}
