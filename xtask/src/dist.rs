//! `dist`: the packages, a `.deb` and an `.rpm`. What is in them stands in `monitor/Cargo.toml`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    command::{in_group, is_there, output, program, root, run as execute, target},
    notices, setup,
};

/// What packs, and its version.
const TOOLS: [(&str, &str); 2] = [("cargo-deb", "3.8.0"), ("cargo-generate-rpm", "0.21.1")];

/// Folders that are packed once they are there, into `/usr/share/backupflow`.
const SHARED: [&str; 3] = ["alertmanager", "grafana", "prometheus"];

const MAINTAINER: &str = "backupflow developers <backupflow@users.noreply.github.com>";

/// Builds both packages and checks them.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure()?;
    for (tool, version) in TOOLS {
        setup::ensure_cargo_tool(tool, version)?;
    }
    execute(&mut in_group(&["cargo", "build", "--release", "--package", "monitor"]))?;
    stage()?;
    let deb = deb("1")?;
    rpm("1")?;
    if is_there("lintian") {
        let words = ["lintian", "--fail-on", "error", "--allow-root", &deb.display().to_string()];
        execute(&mut in_group(&words))?;
    } else {
        println!("dist: lintian is not here, so the .deb is not checked");
    }
    let glibc = oldest_glibc()?;
    println!("dist: packages in {}, for glibc {glibc} and newer", folder().display());
    Ok(())
}

/// Where the packages are put.
pub(crate) fn folder() -> PathBuf {
    target().join("dist")
}

/// Packs what is built as a `.deb` of a revision.
pub(crate) fn deb(revision: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder())?;
    let version = version()?;
    let file = folder().join(format!("backupflow_{version}-{revision}_amd64.deb"));
    let revision = format!("--deb-revision={revision}");
    let words = ["cargo", "deb", "--quiet", "--no-build", "--package", "monitor", &revision];
    output(in_group(&words).arg("--output").arg(&file))?;
    Ok(file)
}

/// Packs what is built as an `.rpm` of a release.
pub(crate) fn rpm(release: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder())?;
    let file = folder().join(format!("backupflow-{}-{release}.x86_64.rpm", version()?));
    let target = target().display().to_string();
    let release = format!("release = \"{release}\"");
    let words = ["cargo", "generate-rpm", "-p", "monitor", "--target-dir", &target];
    execute(in_group(&words).args(["--set-metadata", &release]).arg("--output").arg(&file))?;
    Ok(file)
}

fn version() -> anyhow::Result<String> {
    let described = output(&mut program(&["cargo", "pkgid", "--package", "monitor"]))?;
    let version = described.trim().rsplit(['#', '@']).next();
    version.map(str::to_owned).context("cargo does not say which version this is")
}

/// Writes what is made for the packages: manual pages, completions, the changelog, the licences
/// of what is built in, and shared files.
fn stage() -> anyhow::Result<()> {
    let stage = target().join("release/package");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let words = ["cargo", "run", "--quiet", "--release", "--package", "monitor", "--example"];
    execute(in_group(&words).arg("manuals").arg("--").arg(&stage))?;
    let share = stage.join("share");
    fs::create_dir_all(share.join("systemd"))?;
    for (from, to) in [
        ("docs/config.example.toml", "config.example.toml"),
        ("deploy/systemd/socket-only.conf", "systemd/socket-only.conf"),
    ] {
        fs::copy(root().join(from), share.join(to)).context(from)?;
    }
    for name in SHARED {
        let from = root().join("deploy").join(name);
        if from.exists() {
            execute(in_group(&["cp", "--recursive"]).arg(from).arg(&share))?;
        }
    }
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

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The glibc that the program asks for.
fn oldest_glibc() -> anyhow::Result<String> {
    let binary = target().join("release/backupflow");
    let symbols = output(program(&["readelf", "--wide", "--dyn-syms"]).arg(binary))?;
    newest(&symbols).context("the program asks for no glibc")
}

/// The newest version among symbols such as `stat@GLIBC_2.33 (3)`.
fn newest(symbols: &str) -> Option<String> {
    let wanted = symbols.split("@GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split_whitespace().next()?;
        let (major, minor) = version.split_once('.')?;
        // Some have a third part, which is that of old versions.
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    wanted.max().map(|(major, minor)| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts_by_its_number() {
        let symbols = "1: 0 FUNC memcpy@GLIBC_2.2.5 (2)\n2: 0 FUNC stat@GLIBC_2.33 (3)\n\
                       3: 0 FUNC x@GLIBC_2.4\n4: 0 FUNC y@GCC_4.2.0 (9)\n";
        assert_eq!(newest(symbols), Some("2.33".to_owned()));
        assert_eq!(newest("static"), None);
    }
}
