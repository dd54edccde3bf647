//! What is shipped for Prometheus, Alertmanager and Grafana, as far as it can be checked without a daemon.

mod dashboards;
mod examples;
mod rules;

use std::{fs, path::PathBuf};

use serde_json::Value;

pub(crate) use dashboards::queries;

/// A path of the repository.
fn path(inside: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(inside)
}

/// The text of a file of the repository.
pub(crate) fn text(inside: &str) -> String {
    let path = path(inside);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of a folder's files, without this ending.
fn stems(folder: &str, ending: &str) -> Vec<String> {
    let files = fs::read_dir(path(folder)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut stems: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect();
    stems.sort();
    stems
}

/// Every value that a type of the report can have.
fn values(of: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(&text("docs/report.schema.json")).unwrap();
    let values = schema["$defs"][of]["oneOf"].as_array().unwrap();
    values.iter().map(|value| value["const"].as_str().unwrap().to_owned()).collect()
}
