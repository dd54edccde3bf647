//! `image-test`: the container image, run by the command that `docs/container.md` has. What is tried stands in `try.sh`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::{
    command::{in_group, output, run as execute, target},
    dist, setup,
};

/// Programs, and Debian's packages that have them.
const TOOLS: [(&str, &str); 4] =
    [("podman", "podman"), ("buildah", "buildah"), ("crun", "crun"), ("mmdebstrap", "mmdebstrap")];

/// Builds the image and tries it.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "kernel programs take root: run it as root");
    setup::ensure_packages(&TOOLS)?;
    dist::run()?;
    let folder = target().join("image-test");
    fs::create_dir_all(&folder)?;
    let base = base(&folder)?;
    // Mounts go with the namespace.
    let words =
        ["unshare", "--mount", "--propagation", "private", "bash", "xtask/src/image/try.sh"];
    execute(in_group(&words).args([&folder, &base, &dist::folder()]))
}

/// A small Debian, as images of Debian are, fetched once.
fn base(folder: &Path) -> anyhow::Result<PathBuf> {
    let base = folder.join("bookworm.tar");
    if !base.exists() {
        println!("image-test: fetching Debian bookworm");
        // Whole or not at all.
        let part = folder.join("part.tar");
        output(in_group(&["mmdebstrap", "--variant=minbase", "bookworm"]).arg(&part))?;
        fs::rename(part, &base)?;
    }
    Ok(base)
}
