//! What a machine said, in parts.

use std::collections::BTreeMap;

/// What a machine said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// What `doctor` says of its kernel.
    pub(super) doctor: String,
    /// Instructions that the verifier looked at, by program.
    pub(super) verified: BTreeMap<String, u32>,
    /// Whether each test that came to its end held.
    pub(super) tests: BTreeMap<String, bool>,
    /// What tests that failed said.
    pub(super) failures: String,
    /// Whether it came to its end.
    pub(super) ended: bool,
}

impl Said {
    pub(super) fn parse(text: &str) -> Self {
        let mut said = Self::default();
        let mut part = "";
        let mut failing = false;
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(name) = line.strip_prefix("== ") {
                part = name;
                said.ended |= name == "end";
                continue;
            }
            match part {
                "doctor" => {
                    said.doctor.push_str(line);
                    said.doctor.push('\n');
                }
                "programs" => said.verified.extend(instructions(line)),
                "tests" => {
                    failing |= line == "failures:";
                    if failing {
                        said.failures.push_str(line);
                        said.failures.push('\n');
                    } else {
                        said.tests.extend(outcome(line));
                    }
                }
                _ => {}
            }
        }
        said
    }
}

/// `verified NAME: N instructions`.
fn instructions(line: &str) -> Option<(String, u32)> {
    let (name, rest) = line.strip_prefix("verified ")?.split_once(": ")?;
    Some((name.to_owned(), rest.strip_suffix(" instructions")?.parse().ok()?))
}

/// `test NAME ... ok`, as the harness of the tests prints it.
fn outcome(line: &str) -> Option<(String, bool)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let held = match outcome {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    Some((name.to_owned(), held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let text = "== doctor\nok    kernel          Linux 6.12.1\n\n== programs\nrunning 1 test\n\
                    verified wire_ingress: 1234 instructions\n== tests\ntest a::b ... ok\ntest a::c ... FAILED\n\
                    failures:\n\n---- a::c stdout ----\ntest x ... ok\n== end\n";
        let said = Said::parse(text);
        assert_eq!(said.doctor, "ok    kernel          Linux 6.12.1\n\n");
        assert_eq!(said.verified, [("wire_ingress".to_owned(), 1234)].into());
        assert_eq!(said.tests, [("a::b".to_owned(), true), ("a::c".to_owned(), false)].into());
        assert!(said.failures.contains("---- a::c"), "{}", said.failures);
        assert!(said.ended);
        assert!(!Said::parse("== tests\ntest a::b ... ok\n").ended);
    }
}
