//! `dist`: the packages, a `.deb` and an `.rpm`. What is in them stands in `monitor/Cargo.toml`.

mod stage;

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use crate::{
    command::{in_group, is_there, output, program, run as execute, target},
    setup,
};

/// What packs, and its version.
const TOOLS: [(&str, &str); 2] = [("cargo-deb", "3.8.0"), ("cargo-generate-rpm", "0.21.1")];

/// Builds both packages and checks them.
pub(crate) fn run() -> anyhow::Result<()> {
    setup::ensure()?;
    setup::ensure_packages(&[("pandoc", "pandoc")])?;
    for (tool, version) in TOOLS {
        setup::ensure_cargo_tool(tool, version)?;
    }
    execute(&mut in_group(&["cargo", "build", "--release", "--package", "monitor"]))?;
    stage::write()?;
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

/// From here on, packages have another first config than before: what an upgrade may stumble over.
pub(crate) fn change_first_config() -> anyhow::Result<()> {
    let file = stage::folder().join("share/config.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(file, text + "# Another one.\n").context("the first config")
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
