//! Examples, with the lines that are switched off switched on.

use std::fs;

use tests::{
    binary,
    command::{output, program, run, text as said},
};

use super::text;

/// The text with every commented line that is one of the format: without its mark, it begins with something like these.
fn switched_on(text: &str, is_line: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().map(|line| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        match rest.strip_prefix("# ") {
            Some(inside) if is_line(inside.trim_start()) => format!("{indent}{inside}\n"),
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// `key: ` or `key:` and nothing more.
fn is_yaml(line: &str) -> bool {
    line.split_once(':').is_some_and(|(key, value)| {
        !key.is_empty()
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && (value.is_empty() || !value.trim().contains(' '))
    })
}

/// `key = `, or a section.
fn is_toml(line: &str) -> bool {
    let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || ".-_".contains(c));
    line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
}

#[test]
fn prometheus_takes_every_line_that_is_switched_off() {
    let example = text("deploy/prometheus/prometheus.example.yml");
    let on = switched_on(&example, is_yaml);
    assert_eq!(on.matches("password_file:").count(), 1, "{on}");
    assert!(on.lines().any(|line| line == "    scheme: https"), "{on}");
    let file = std::env::temp_dir().join(format!("backupflow-example-{}.yml", std::process::id()));
    fs::write(&file, on).unwrap();
    run("promtool", &["check", "config", "--syntax-only", file.to_str().unwrap()]);
    fs::remove_file(file).unwrap();
}

#[test]
fn check_takes_every_line_that_is_switched_off() {
    for example in ["deploy/config.toml", "docs/config.example.toml"] {
        let on = switched_on(&text(example), is_toml);
        assert_ne!(on, text(example), "{example}");
        let name = format!("backupflow-example-{}.toml", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, &on).unwrap();
        let checked = output(program("env").arg(binary()).args(["check", "--config"]).arg(&file));
        assert!(checked.status.success(), "{example}: {}\n{on}", said(&checked).1);
        fs::remove_file(file).unwrap();
    }
}
