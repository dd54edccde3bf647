//! Alerts, and the page that each of them leads to.

use std::collections::BTreeSet;

use tests::command::run;

use super::{path, stems, text, values};

const RULES: &str = "deploy/prometheus/backupflow.rules.yml";
const TESTS: &str = "deploy/prometheus/backupflow.rules.test.yml";
const RUNBOOKS: &str = "https://runbooks.example.com/backupflow/";
const CAUSE: &str = "{{ $labels.cause }}";

/// What stands behind a key on the lines of a text.
pub(super) fn after<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(key)).map(str::trim).collect()
}

/// The pages that the rules lead to.
fn pages() -> BTreeSet<String> {
    let rules = text(RULES);
    let urls = after(&rules, "runbook_url: ");
    assert_eq!(urls.len(), after(&rules, "- alert: ").len());
    let pages = urls.into_iter().flat_map(|url| {
        let page =
            url.trim_matches('"').strip_prefix(RUNBOOKS).and_then(|url| url.strip_suffix(".md"));
        let page = page.unwrap_or_else(|| panic!("{url} is not a page below {RUNBOOKS}"));
        if page == CAUSE { values("Cause") } else { vec![page.to_owned()] }
    });
    pages.collect()
}

#[test]
fn prometheus_takes_the_rules_and_they_do_as_they_should() {
    let file = |file: &str| path(file).into_os_string().into_string().unwrap();
    run("promtool", &["check", "rules", &file(RULES)]);
    run("promtool", &["test", "rules", &file(TESTS)]);
    let example = file("deploy/prometheus/prometheus.example.yml");
    run("promtool", &["check", "config", "--syntax-only", &example]);
    run("amtool", &["check-config", &file("deploy/prometheus/alertmanager.example.yml")]);
}

#[test]
fn every_alert_is_tested_firing_and_not_firing() {
    let (rules, tests) = (text(RULES), text(TESTS));
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() >= 12, "{alerts:?}");
    let cases: BTreeSet<(&str, bool)> = tests
        .split("alertname: ")
        .skip(1)
        .map(|case| {
            let mut lines = case.lines();
            let alert = lines.next().unwrap();
            (alert, lines.next().is_some_and(|line| line.trim() == "exp_alerts:"))
        })
        .collect();
    let wanted = alerts.into_iter().flat_map(|alert| [(alert, false), (alert, true)]);
    assert_eq!(cases, wanted.collect());
}

#[test]
fn every_page_that_an_alert_leads_to_is_there_and_no_other() {
    let there: BTreeSet<String> = stems("docs/runbooks", ".md").into_iter().collect();
    let mut wanted = pages();
    wanted.extend(values("Cause"));
    wanted.insert("README".to_owned());
    assert_eq!(there, wanted);
}

#[test]
fn every_page_says_what_to_do_and_is_in_the_list() {
    let list = text("docs/runbooks/README.md");
    for page in stems("docs/runbooks", ".md").iter().filter(|page| *page != "README") {
        let text = text(&format!("docs/runbooks/{page}.md"));
        assert!(text.starts_with(&format!("# {page}\n\n")), "{page}");
        for heading in ["\n## Confirm\n", "\n## Fix\n"] {
            assert!(text.contains(heading), "{page} has no {heading:?}");
        }
        assert!(list.contains(&format!("[{page}]({page}.md)")), "{page} is not in the list");
    }
    for alert in after(&text(RULES), "- alert: ") {
        assert!(list.contains(&format!("`{alert}`")), "{alert} is not in the list");
    }
}
