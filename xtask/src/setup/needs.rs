//! What a machine lacks, and what to do about it: no program is run here.

/// Programs, and Debian's packages that have them.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("iptables-legacy", "iptables"),
    ("ethtool", "ethtool"),
    ("tcpdump", "tcpdump"),
    ("promtool", "prometheus"),
    ("prometheus", "prometheus"),
    ("amtool", "prometheus-alertmanager"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
    ("chromium", "chromium"),
    ("tmux", "tmux"),
    ("curl", "curl"),
    ("nmap", "nmap"),
    ("haproxy", "haproxy"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("systemd-analyze", "systemd"),
    ("systemd-socket-activate", "systemd"),
];

/// How rustup calls Debian's compiler, its packages, and the version of LLVM that it has.
pub(super) const TOOLCHAIN: &str = "backupflow-bpf";
const COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];
const COMPILER_LLVM: u32 = 22;

/// What the machine has of what a build for the kernel takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// The version of LLVM in a nightly toolchain with the sources of its library.
    pub(super) nightly: Option<u32>,
    pub(super) debian: bool,
    pub(super) linker: bool,
}

/// What has to be done for a build.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) packages: Vec<String>,
    /// Whether rustup has to be told of Debian's compiler.
    pub(super) toolchain: bool,
    /// The version of LLVM that the linker has to be built with.
    pub(super) linker: Option<u32>,
}

impl Found {
    pub(super) fn needs(self) -> Needs {
        let mut needs = Needs::default();
        if self.nightly.is_none() && !self.debian {
            needs.packages.extend(COMPILER.map(str::to_owned));
            needs.toolchain = true;
        }
        if !self.linker {
            // It reads what the compiler writes: both have to take the same LLVM.
            let llvm = self.nightly.unwrap_or(COMPILER_LLVM);
            needs.packages.push(format!("llvm-{llvm}-dev"));
            needs.packages.extend(["libzstd-dev", "zlib1g-dev", "g++"].map(str::to_owned));
            needs.linker = Some(llvm);
        }
        needs
    }
}

/// The packages whose programs are not there, each once.
pub(super) fn missing_packages(is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let missing = TOOLS.iter().filter(|(tool, _)| !is_there(tool));
    let mut packages: Vec<String> = missing.map(|(_, package)| (*package).to_owned()).collect();
    packages.dedup();
    packages
}

/// The major version of LLVM in what `rustc --version --verbose` prints.
pub(super) fn llvm_in(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.trim().parse().ok()
}

/// What to do on a machine that is not Debian's.
pub(super) fn without_apt(needs: &Needs) -> String {
    let mut lines =
        vec!["something is missing that only Debian's apt-get would install here:".to_owned()];
    if !needs.packages.is_empty() {
        lines.push(format!("install what Debian has in {}", needs.packages.join(", ")));
    }
    if needs.toolchain {
        let how = "rustup toolchain install nightly --component rust-src";
        lines.push(format!("instead of {}, run `{how}`", COMPILER.join(" and ")));
    }
    if needs.linker.is_some() {
        let how = "rustc +nightly --version --verbose";
        lines.push(format!(
            "run `cargo install bpf-linker --no-default-features --features llvm-NN`, with the LLVM that `{how}` names"
        ));
    }
    lines.join("\n  ")
}

/// All of it, as commands to copy.
pub(super) fn by_hand(needs: &Needs) -> String {
    let mut lines = vec!["something is missing. These commands install it:".to_owned()];
    lines.push("sudo apt-get update".to_owned());
    let install = "sudo apt-get install --no-install-recommends";
    lines.push(format!("{install} {}", needs.packages.join(" ")));
    if needs.toolchain {
        lines.push(format!("rustup toolchain link {TOOLCHAIN} /usr"));
    }
    if let Some(llvm) = needs.linker {
        let words = linker_words(llvm).join(" ");
        lines.push(format!("PATH={}:$PATH {words}", llvm_folder(llvm)));
    }
    lines.join("\n  ")
}

/// The command that builds the linker.
pub(super) fn linker_words(llvm: u32) -> Vec<String> {
    let words =
        "cargo install bpf-linker --version 0.13.0 --locked --no-default-features --features";
    words.split(' ').map(str::to_owned).chain([format!("llvm-{llvm}")]).collect()
}

/// Where Debian has the programs of an LLVM.
pub(super) fn llvm_folder(llvm: u32) -> String {
    format!("/usr/lib/llvm-{llvm}/bin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_there_is_installed_and_each_package_once() {
        assert_eq!(missing_packages(|_| true), [""; 0]);
        assert_eq!(missing_packages(|tool| tool != "nft"), ["nftables"]);
        assert_eq!(missing_packages(|tool| tool != "ip" && tool != "tc"), ["iproute2"]);
        let all = [
            "iproute2",
            "nftables",
            "iptables",
            "ethtool",
            "tcpdump",
            "prometheus",
            "prometheus-alertmanager",
            "chromium",
            "tmux",
            "curl",
            "nmap",
            "haproxy",
            "util-linux",
            "systemd",
        ];
        assert_eq!(missing_packages(|_| false), all);
    }

    #[test]
    fn with_a_compiler_and_a_linker_nothing_is_needed() {
        for (nightly, debian) in [(Some(23), false), (None, true), (Some(22), true)] {
            assert_eq!(Found { nightly, debian, linker: true }.needs(), Needs::default());
        }
    }

    #[test]
    fn a_linker_is_built_with_the_compilers_llvm() {
        let nightly = Found { nightly: Some(23), ..Found::default() }.needs();
        assert_eq!(nightly.packages, ["llvm-23-dev", "libzstd-dev", "zlib1g-dev", "g++"]);
        assert_eq!((nightly.toolchain, nightly.linker), (false, Some(23)));

        let debian = Found { debian: true, ..Found::default() }.needs();
        assert_eq!((debian.toolchain, debian.linker), (false, Some(22)));

        let bare = Found::default().needs();
        assert_eq!(bare.packages[..3], ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev"]);
        assert_eq!((bare.toolchain, bare.linker), (true, Some(22)));
    }

    #[test]
    fn the_llvm_of_a_compiler_is_read() {
        assert_eq!(llvm_in("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_in("rustc 1.96.0\n"), None);
    }

    #[test]
    fn who_cannot_install_is_told_what_to_do() {
        let needs = Found::default().needs();
        let text = by_hand(&needs);
        assert!(
            text.contains("recommends rustc-web libstd-rust-web-dev-bpf llvm-22-dev"),
            "{text}"
        );
        assert!(text.contains("\n  rustup toolchain link backupflow-bpf /usr\n"), "{text}");
        let last = "  PATH=/usr/lib/llvm-22/bin:$PATH cargo install bpf-linker --version 0.13.0 --locked \
                    --no-default-features --features llvm-22";
        assert_eq!(text.lines().last(), Some(last));
        assert!(without_apt(&needs).contains("--component rust-src"));
        let tools = Needs { packages: missing_packages(|tool| tool != "nft"), ..Needs::default() };
        assert_eq!(
            without_apt(&tools).lines().last(),
            Some("  install what Debian has in nftables")
        );
    }
}
