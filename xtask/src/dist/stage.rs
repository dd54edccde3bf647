//! What the packages have besides the program, written before they are packed: `doc` becomes `/usr/share/doc/backupflow`,
//! `share` becomes `/usr/share/backupflow`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::version;
use crate::{
    command::{in_group, output, program, root, run as execute, target},
    notices,
};

/// Files and folders of the repository, and which folder they go to.
const COPIED: [(&str, &str); 12] = [
    ("README.md", "doc"),
    ("SECURITY.md", "doc"),
    ("CHANGELOG.md", "doc"),
    ("ARCHITECTURE.md", "doc"),
    ("CONTRIBUTING.md", "doc"),
    ("docs/.", "doc"),
    ("deploy/config.toml", "share"),
    ("docs/config.example.toml", "share"),
    ("deploy/systemd/socket-only.conf", "share/systemd"),
    ("deploy/prometheus", "share"),
    ("deploy/grafana/dashboards", "share/grafana"),
    ("deploy/grafana/provisioning", "share/grafana"),
];

const MAINTAINER: &str = "backupflow developers <backupflow@users.noreply.github.com>";

/// Where it is written.
pub(super) fn folder() -> PathBuf {
    target().join("release/package")
}

/// Writes it: documents, shared files, manual pages, completions, the changelog of Debian's kind and the licences
/// of what is built in.
pub(super) fn write() -> anyhow::Result<()> {
    let stage = folder();
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    copy(&stage)?;
    // Optimizing takes longer than it runs.
    let words = ["cargo", "run", "--quiet", "--package", "monitor", "--example"];
    execute(in_group(&words).arg("manuals").arg("--").arg(&stage))?;
    config_manual(&stage.join("man"))?;
    fs::write(stage.join("notices"), notices::text()?)?;
    let date = output(&mut program(&["git", "log", "-1", "--format=%aD"]))?;
    let version = version()?;
    let text = format!(
        "backupflow ({version}-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- {MAINTAINER}  {date}",
    );
    fs::write(stage.join("changelog"), text)?;
    let mut compress = in_group(&["gzip", "-9", "--no-name"]);
    compress
        .args([stage.join("changelog"), stage.join("notices")])
        .args(files(&stage.join("man"))?);
    execute(&mut compress)
}

/// The documents come into one folder, so that links between those in `docs` and those beside it become others.
fn copy(stage: &Path) -> anyhow::Result<()> {
    for (from, to) in COPIED {
        let to = stage.join(to);
        fs::create_dir_all(&to)?;
        execute(in_group(&["cp", "--recursive", from, "--target-directory"]).arg(to))?;
    }
    for file in files(&stage.join("doc"))? {
        if file.extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(&file)?;
            fs::write(&file, text.replace("](docs/", "](").replace("](../", "]("))?;
        }
    }
    Ok(())
}

/// `docs/config.md` as backupflow-config(5).
fn config_manual(man: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join("docs/config.md"))?;
    let (_, text) = text.split_once('\n').context("docs/config.md is empty")?;
    let page = man.join("backupflow-config.md");
    let head = "## NAME\n\nbackupflow-config - the config file of backupflow\n\n## DESCRIPTION\n";
    fs::write(&page, format!("{head}{text}"))?;
    let words = ["pandoc", "--standalone", "--from=gfm", "--to=man", "--shift-heading-level-by=-1"];
    execute(
        in_group(&words)
            .args(["--variable=title:BACKUPFLOW-CONFIG", "--variable=section:5", "--output"])
            .args([&page.with_extension("5"), &page]),
    )?;
    fs::remove_file(page).context("the source of a manual page")
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the packages have what begins so.
    const INSTALLED: [(&str, &str); 2] =
        [("/usr/share/backupflow", "share"), ("/usr/share/doc/backupflow", "doc")];

    /// Every place in the packages that a text names, as where it is staged.
    fn named(text: &str) -> Vec<String> {
        let places = INSTALLED.iter().flat_map(|(installed, staged)| {
            text.match_indices(installed).map(move |(at, _)| {
                let rest = text.get(at + installed.len()..).unwrap_or_default();
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c));
                let path = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
                format!("{staged}{}", path.trim_end_matches('.'))
            })
        });
        places.collect()
    }

    /// Every file that a document links to, without those elsewhere and places in itself.
    fn linked(text: &str) -> Vec<&str> {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
    }

    #[test]
    fn places_and_links_are_found() {
        let text = "see `/usr/share/backupflow/a/b.yml`, /usr/share/doc/backupflow/c.md.\n\
            In /usr/share/backupflow: [d](e/f.md#g), [h](#i), [j](https://k.example/l.md)";
        assert_eq!(named(text), ["share/a/b.yml", "share", "doc/c.md"]);
        assert_eq!(linked(text), ["e/f.md"]);
    }

    #[test]
    fn the_packages_have_what_their_documents_point_to() {
        let stage = tempfile::tempdir().unwrap();
        let stage = stage.path();
        copy(stage).unwrap();
        let [pages, runbooks] =
            ["doc", "doc/runbooks"].map(|name| files(&stage.join(name)).unwrap());
        let units = files(&root().join("deploy/systemd")).unwrap();
        let mut missing = Vec::new();
        let mut found = 0;
        for file in pages.iter().chain(&runbooks).chain(&units).filter(|file| file.is_file()) {
            let Ok(text) = fs::read_to_string(file) else { continue };
            let beside = file.parent().unwrap();
            let links = linked(&text).into_iter().map(|link| beside.join(link));
            for place in named(&text).into_iter().map(|place| stage.join(place)).chain(links) {
                found += 1;
                if !place.exists() {
                    missing.push(format!("{}: {}", file.display(), place.display()));
                }
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
        assert!(found > 50, "{found}");
        assert!(!stage.join("share/grafana/render").exists());
    }
}
