//! Debian's current kernel of a suite: fetched by apt, which checks signatures and checksums, and unpacked.
//! Nothing is installed, and apt keeps what it knows in a folder of its own.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::command::{in_group, output, program, run as execute};

/// A kernel that the programs have to run on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// The line that it is of, or what stands for the newest.
    pub(super) line: &'static str,
    suite: &'static str,
    archive: &'static str,
}

const MAIN: &str = "http://deb.debian.org/debian";
const SECURITY: &str = "http://deb.debian.org/debian-security";

/// From the oldest to the newest.
pub(super) const KERNELS: [Kernel; 4] = [
    Kernel { line: "5.10", suite: "bullseye-security", archive: SECURITY },
    Kernel { line: "6.1", suite: "bookworm-security", archive: SECURITY },
    Kernel { line: "6.12", suite: "trixie", archive: MAIN },
    // 7.2 as this is written.
    Kernel { line: "newest", suite: "sid", archive: MAIN },
];

/// Small, with every driver that the tests take.
const PACKAGE: &str = "linux-image-cloud-amd64";

const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Modules that the tests may take, and those below them that none does.
const MODULES: &[&str] = &["net", "lib", "crypto", "arch", "drivers/net"];
const LEFT_OUT: &[&str] = &[
    "drivers/net/can",
    "drivers/net/ethernet",
    "drivers/net/hyperv",
    "drivers/net/mdio",
    "drivers/net/phy",
    "drivers/net/usb",
    "drivers/net/wireless",
    "net/9p",
    "net/batman-adv",
    "net/bluetooth",
    "net/can",
    "net/ceph",
    "net/dccp",
    "net/mac80211",
    "net/rds",
    "net/rxrpc",
    "net/sctp",
    "net/smc",
    "net/sunrpc",
    "net/tipc",
    "net/wireless",
];

/// A kernel that is here.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) kernel: Kernel,
    /// What it calls itself.
    pub(super) release: String,
    /// Where its `vmlinuz` and `modules.cpio` are.
    pub(super) folder: PathBuf,
}

impl Kernel {
    /// Gets the suite's current one, unless it is here. Where Debian cannot be asked, one that is here has to do.
    pub(super) fn fetch(self, cache: &Path) -> anyhow::Result<Fetched> {
        let folder = cache.join(self.suite);
        let apt = Apt::new(self, &folder.join("apt"))?;
        let packages = match apt.update().and_then(|()| apt.closure()) {
            Ok(packages) => packages,
            Err(error) => match here(&folder) {
                Some(release) => {
                    println!(
                        "{}: Debian cannot be asked ({error:#}), {release} is here",
                        self.line
                    );
                    return Ok(Fetched { kernel: self, folder: folder.join(&release), release });
                }
                None => return Err(error),
            },
        };
        let image = packages.iter().find_map(|package| package.strip_prefix("linux-image-"));
        let release = image.context("an image without a version")?.to_owned();
        let done = folder.join(&release);
        if !done.exists() {
            println!("{}: fetching {}", self.line, packages.join(" "));
            if let Some(old) = here(&folder) {
                fs::remove_dir_all(folder.join(old))?;
            }
            // Whole or not at all.
            let part = folder.join("part");
            fs::create_dir_all(part.join("tree"))?;
            apt.unpack(&packages, &part.join("tree"))?;
            pick(&part.join("tree"), &release, &part)?;
            fs::remove_dir_all(part.join("tree"))?;
            fs::rename(part, &done)?;
        }
        Ok(Fetched { kernel: self, release, folder: done })
    }
}

/// The kernel that was fetched before.
fn here(folder: &Path) -> Option<String> {
    let names =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).max()
}

/// An apt that knows one suite, and nothing of this machine.
struct Apt {
    config: PathBuf,
    folder: PathBuf,
}

impl Apt {
    fn new(kernel: Kernel, folder: &Path) -> anyhow::Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let Kernel { suite, archive, .. } = kernel;
        fs::write(
            folder.join("sources.list"),
            format!("deb [signed-by={KEYS}] {archive} {suite} main\n"),
        )?;
        let config = folder.join("apt.conf");
        let at = folder.display();
        fs::write(
            &config,
            format!(
                "Dir::Etc::sourcelist \"{at}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
                 Dir::State::lists \"{at}/lists\";\nDir::Cache \"{at}/cache\";\nDir::State::status \"/dev/null\";\n\
                 Acquire::Languages \"none\";\nAPT::Architecture \"amd64\";\nAPT::Sandbox::User \"root\";\n"
            ),
        )?;
        Ok(Self { config, folder: folder.to_owned() })
    }

    fn update(&self) -> anyhow::Result<()> {
        let words = ["apt-get", "--quiet=2", "--error-on=any", "update"];
        output(program(&words).env("APT_CONFIG", &self.config)).map(drop)
    }

    /// The kernel's packages: which they are differs from suite to suite.
    fn closure(&self) -> anyhow::Result<Vec<String>> {
        let mut packages = vec![PACKAGE.to_owned()];
        let mut next = 0;
        while let Some(package) = packages.get(next) {
            let words = ["apt-cache", "--no-all-versions", "show", package];
            let description = output(program(&words).env("APT_CONFIG", &self.config))?;
            let new: Vec<String> = parts(&description)
                .filter(|part| !packages.iter().any(|package| package == part))
                .map(str::to_owned)
                .collect();
            packages.extend(new);
            next += 1;
        }
        packages.remove(0);
        if packages.is_empty() {
            bail!("{PACKAGE} leads to no kernel");
        }
        Ok(packages)
    }

    fn unpack(&self, packages: &[String], tree: &Path) -> anyhow::Result<()> {
        let debs = self.folder.join("debs");
        drop(fs::remove_dir_all(&debs));
        fs::create_dir_all(&debs)?;
        output(
            program(&["apt-get", "--quiet=2", "download"])
                .args(packages)
                .current_dir(&debs)
                .env("APT_CONFIG", &self.config),
        )?;
        for deb in fs::read_dir(&debs)? {
            execute(program(&["dpkg-deb", "--extract"]).arg(deb?.path()).arg(tree))?;
        }
        fs::remove_dir_all(debs).context("what was unpacked")
    }
}

/// Packages of a kernel that another one of its packages depends on.
fn parts(description: &str) -> impl Iterator<Item = &str> {
    let depends = description.lines().filter_map(|line| line.strip_prefix("Depends: "));
    depends
        .flat_map(|depends| depends.split(", "))
        .filter_map(|dependency| dependency.split(' ').next())
        .filter(|package| package.starts_with("linux-") && package.ends_with("-amd64"))
}

/// Takes the kernel and the modules that the tests take.
fn pick(tree: &Path, release: &str, into: &Path) -> anyhow::Result<()> {
    let modules = ["lib/modules", "usr/lib/modules"].map(|folder| tree.join(folder).join(release));
    let modules = modules.iter().find(|folder| folder.is_dir()).context("no modules")?;
    let images = [tree.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
    let image = images.iter().find(|image| image.is_file()).context("no vmlinuz")?;
    fs::copy(image, into.join("vmlinuz"))?;

    let root = into.join("modules");
    let own = root.join("usr/lib/modules").join(release);
    fs::create_dir_all(&own)?;
    symlink("usr/lib", root.join("lib"))?;
    for folder in LEFT_OUT {
        drop(fs::remove_dir_all(modules.join("kernel").join(folder)));
    }
    for folder in MODULES {
        let (from, to) = (modules.join("kernel").join(folder), own.join("kernel").join(folder));
        if from.is_dir() {
            fs::create_dir_all(&to)?;
            execute(in_group(&["cp", "--recursive", "--no-target-directory"]).args([from, to]))?;
        }
    }
    for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        fs::copy(modules.join(list), own.join(list))?;
    }
    execute(in_group(&["depmod", "--basedir"]).arg(&root).arg(release))?;
    archive(&root, &into.join("modules.cpio"))?;
    fs::remove_dir_all(root).context("what was packed")
}

/// Packs a folder as the kernel unpacks it at its start.
pub(super) fn archive(folder: &Path, into: &Path) -> anyhow::Result<()> {
    const PACK: &str =
        "cd \"$0\" && find . | cpio --create --format=newc --owner=0:0 --quiet > \"$1\"";
    execute(in_group(&["sh", "-e", "-c", PACK]).arg(folder).arg(into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_a_kernel_are_told_from_what_it_needs_besides() {
        let image = "Package: linux-image-7.2.13+deb14-cloud-amd64\nDepends: linux-binary-7.2.13+deb14-cloud-amd64 \
                     (= 7.2.13-1), kmod, linux-base (>= 4.12~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool\n";
        let found: Vec<&str> = parts(image).collect();
        assert_eq!(found, ["linux-binary-7.2.13+deb14-cloud-amd64"]);
    }
}
