//! The dashboards of Grafana.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tests::command::run;

use super::{path, rules::after, stems, text, values};

const FOLDER: &str = "deploy/grafana/dashboards";

/// Series that Prometheus makes, or every program has.
const OTHERS: &[&str] = &["up", "ALERTS", "process_resident_memory_bytes"];

/// The dashboards, by the name of their file.
fn dashboards() -> Vec<(String, Value)> {
    let stems = stems(FOLDER, ".json");
    assert_eq!(stems, ["fleet", "flow", "host"]);
    let read = |stem: String| {
        let dashboard = serde_json::from_str(&text(&format!("{FOLDER}/{stem}.json"))).unwrap();
        (stem, dashboard)
    };
    stems.into_iter().map(read).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// The queries of all panels and variables, each with where it stands. Variables are filled in: the
/// host and the flow by these, the others by everything.
pub(crate) fn queries(instance: &str, flow: &str) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (stem, dashboard) in dashboards() {
        for panel in list(&dashboard, "panels") {
            let name = format!("{stem}: {}", word(panel, "title"));
            let targets = list(panel, "targets").iter();
            queries.extend(targets.map(|target| (name.clone(), word(target, "expr").to_owned())));
        }
        let variables = list(&dashboard["templating"], "list").iter();
        for variable in variables.filter(|variable| variable["type"] == "query") {
            let query = word(&variable["query"], "query");
            let inside =
                query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (metric, label) = inside.and_then(|inside| inside.rsplit_once(", ")).unwrap();
            let name = format!("{stem}: ${}", word(variable, "name"));
            queries.push((name, format!("count by ({label}) ({metric})")));
        }
    }
    for (_, query) in &mut queries {
        *query = query
            .replace("\"$instance\"", &format!("{instance:?}"))
            .replace("=~\"$flow\"", "=~\".*\"")
            .replace("\"$flow\"", &format!("{flow:?}"))
            .replace("\"$system\"", "\".*\"")
            .replace("\"$product\"", "\".*\"")
            .replace("\"$site\"", "\".*\"")
            .replace("$__rate_interval", "5s");
        assert!(!query.contains('$'), "a variable that nothing is known of: {query}");
    }
    queries
}

#[test]
fn every_query_parses() {
    let rules: Vec<Value> = queries("host", "agent-50051")
        .into_iter()
        .map(|(_, query)| json!({ "record": "x", "expr": query }))
        .collect();
    assert!(rules.len() >= 50, "{}", rules.len());
    let groups: Vec<Value> = (0..)
        .zip(rules)
        .map(|(number, rule): (u32, Value)| json!({ "name": number.to_string(), "rules": [rule] }))
        .collect();
    // JSON is YAML.
    let file = std::env::temp_dir().join(format!("backupflow-queries-{}.yml", std::process::id()));
    fs::write(&file, json!({ "groups": groups }).to_string()).unwrap();
    run("promtool", &["check", "rules", file.to_str().unwrap()]);
    fs::remove_file(file).unwrap();
}

#[test]
fn every_series_exists() {
    let metrics = text("docs/metrics.md");
    let rules = text("deploy/prometheus/backupflow.rules.yml");
    let mut known: BTreeSet<&str> = after(&rules, "- record: ").into_iter().collect();
    known.extend(metrics.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()));
    known.extend(OTHERS);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    for (name, query) in queries("host", "agent-50051") {
        let words: Vec<&str> = query.split(|letter| !is_part(letter)).collect();
        let series: Vec<&str> = words
            .iter()
            .filter(|word| word.contains("backupflow_") || OTHERS.contains(word))
            .copied()
            .collect();
        assert!(!series.is_empty(), "{name}: {query}");
        for series in series {
            assert!(known.contains(series), "{name}: there is no {series}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    for (stem, dashboard) in dashboards() {
        assert_eq!(word(&dashboard, "uid"), format!("backupflow-{stem}"));
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&dashboard, "panels") {
            let title = word(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{stem}: id of {title}");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{stem}: {title} is too wide");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{stem}: {title} lies over another panel");
            }
            if word(panel, "type") == "row" {
                continue;
            }
            assert!(word(panel, "description").ends_with('.'), "{stem}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            // Tables have a unit by column, and a state has its mappings.
            let has_unit = defaults["unit"].is_string() || defaults["mappings"].is_array();
            assert!(has_unit || word(panel, "type") == "table", "{stem}: {title} has no unit");
            let targets = list(panel, "targets");
            assert!(!targets.is_empty(), "{stem}: {title}");
            for source in targets.iter().chain([panel]) {
                assert_eq!(source["datasource"]["uid"], "${datasource}", "{stem}: {title}");
            }
            let refs: BTreeSet<&str> = targets.iter().map(|target| word(target, "refId")).collect();
            assert_eq!(refs.len(), targets.len(), "{stem}: {title}");
        }
        let variables = list(&dashboard["templating"], "list");
        assert_eq!(variables[0]["name"], "datasource", "{stem}");
    }
}

/// All mappings inside a value, of panels and of single columns.
fn mappings(value: &Value) -> Vec<&Value> {
    let own = list(value, "mappings").iter();
    let of_a_column = if value["id"] == "mappings" { list(value, "value") } else { &[] };
    let inside: Vec<&Value> = match value {
        Value::Object(map) => map.values().collect(),
        Value::Array(values) => values.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    own.chain(of_a_column)
        .map(|mapping| &mapping["options"])
        .chain(inside.into_iter().flat_map(mappings))
        .collect()
}

#[test]
fn every_verdict_has_one_colour_everywhere() {
    let verdicts = values("Verdict");
    let mut colours = BTreeSet::new();
    for (stem, dashboard) in dashboards() {
        let mappings = mappings(&dashboard).into_iter();
        let of_verdicts: Vec<Vec<&Value>> = mappings
            .map(|options| options.as_object().unwrap().values().collect())
            .filter(|options: &Vec<&Value>| options.iter().any(|one| one["text"] == "blocked"))
            .collect();
        assert!(!of_verdicts.is_empty(), "{stem} has no colours of verdicts");
        for options in of_verdicts {
            let texts: BTreeSet<&str> = options.iter().map(|option| word(option, "text")).collect();
            assert_eq!(texts, verdicts.iter().map(String::as_str).collect(), "{stem}");
            let of = options.iter().map(|option| (word(option, "text"), word(option, "color")));
            colours.extend(of.map(|(text, colour)| (text.to_owned(), colour.to_owned())));
        }
    }
    assert_eq!(colours.len(), verdicts.len(), "{colours:?}");
}

#[test]
fn every_link_leads_to_a_dashboard_or_a_runbook() {
    let targets: BTreeSet<String> =
        dashboards().into_iter().map(|(stem, _)| format!("/d/backupflow-{stem}")).collect();
    let mut texts: Vec<String> =
        dashboards().iter().map(|(_, dashboard)| dashboard.to_string()).collect();
    texts.push(text("deploy/prometheus/backupflow.rules.yml"));
    for text in texts {
        let links: Vec<&str> = text.split("\"/d/").skip(1).collect();
        assert!(links.len() >= 2);
        for link in links {
            let uid = link.split(['?', '"']).next().unwrap();
            assert!(targets.contains(&format!("/d/{uid}")), "{uid}");
        }
        for page in text.split("${runbooks}/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(
                page == "${__data.fields.cause}.md" || path("docs/runbooks").join(page).is_file(),
                "{page}"
            );
        }
    }
}
