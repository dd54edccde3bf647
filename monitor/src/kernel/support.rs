//! What this kernel and this process can do, and what is lost without it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aya::util::KernelVersion;
use serde::Serialize;

use super::offsets::Knowledge;
use crate::observe;

/// One thing that backupflow builds on.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// Whether it is there.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// What is lost without it.
    pub without: &'static str,
    /// The daemon does not start without it.
    pub required: bool,
}

/// Why the daemon cannot work here.
#[derive(Debug, thiserror::Error)]
#[error("{found}: {without}")]
pub struct Unsupported {
    found: String,
    without: &'static str,
}

/// Whether the running kernel is of this version or newer. `false` where it cannot be told.
pub fn kernel_is_at_least(major: u8, minor: u8) -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(major, minor, 0))
}

/// Fails with the first thing that is required and is not there.
pub fn require() -> Result<(), Unsupported> {
    match checks().into_iter().find(|check| check.required && !check.good) {
        Some(Check { found, without, .. }) => Err(Unsupported { found, without }),
        None => Ok(()),
    }
}

/// Everything that backupflow builds on, as it is here.
pub fn checks() -> Vec<Check> {
    vec![kernel(), capabilities(), btf(), reasons(), tcx(), cgroup(), bpffs()]
}

fn kernel() -> Check {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Check {
        name: "kernel",
        good: kernel_is_at_least(5, 10),
        found: format!("Linux {}", release.trim()),
        without: "backupflow needs Linux 5.10 or newer",
        required: true,
    }
}

/// Bits of `CapEff` in `/proc/self/status`.
const CAPABILITIES: [(&str, u32); 3] =
    [("CAP_BPF", 39), ("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38)];

fn capabilities() -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> = CAPABILITIES
        .into_iter()
        .filter(|(_, bit)| effective & (1 << bit) == 0)
        .map(|(name, _)| name)
        .collect();
    Check {
        name: "capabilities",
        good: missing.is_empty(),
        found: if missing.is_empty() {
            "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON".to_owned()
        } else {
            format!("this process lacks {}", missing.join(", "))
        },
        without: "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, so that programs can be loaded and attached",
        required: true,
    }
}

/// What is lost without one of the hooks that belong to no interface.
pub fn without_hook(hook: &str) -> &'static str {
    match hook {
        observe::SOCKET_INGRESS | observe::SOCKET_EGRESS => {
            "packets at sockets are not counted, and attempts that never reach the wire go unseen"
        }
        observe::CONNECTION => "how connections end is not told",
        observe::CONNECT => "attempts of this host that fail without a route go unseen",
        observe::RETRANSMIT => "segments that are sent again are not counted",
        _ => "what this host drops is not counted, and its firewall is never named as a cause",
    }
}

/// Where the kernel describes its own types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

fn btf() -> Check {
    let there = Path::new(BTF).exists();
    Check {
        name: "BTF",
        good: there,
        found: if there { BTF.to_owned() } else { format!("no {BTF}") },
        without: "packets on the wire are counted all the same; the hooks that tell drops, their reasons and connections need it",
        required: false,
    }
}

fn reasons() -> Check {
    let known = Knowledge::of_this_kernel();
    let good = known.as_ref().is_ok_and(|known| !known.reasons.is_empty());
    Check {
        name: "drop reasons",
        good,
        found: match known {
            Err(error) => error.to_string(),
            Ok(_) if good => "since Linux 5.17".to_owned(),
            Ok(_) => "older than Linux 5.17".to_owned(),
        },
        without: "what this host drops is counted, and neither its firewall nor a missing listener is named as a cause",
        required: false,
    }
}

fn tcx() -> Check {
    let there = kernel_is_at_least(6, 6);
    Check {
        name: "TCX",
        good: there,
        found: if there { "since Linux 6.6" } else { "older than Linux 6.6" }.to_owned(),
        without: "programs are attached as clsact filters, which outlive a killed daemon until the next start",
        required: false,
    }
}

fn cgroup() -> Check {
    let root = cgroup_root();
    Check {
        name: "cgroup v2",
        good: root.is_ok(),
        found: root.map_or_else(
            |lacks| lacks.trim_start_matches("cgroup v2 is ").to_owned(),
            |root| root.display().to_string(),
        ),
        without: "packets on the wire are counted all the same; the hooks that tell what reaches a socket and what is attempted need it",
        required: false,
    }
}

fn bpffs() -> Check {
    let there = mounted(&mounts(), "bpf");
    Check {
        name: "bpffs",
        good: there.is_some(),
        found: there.map_or("not mounted".to_owned(), |root| root.display().to_string()),
        without: "counts begin at zero with every start of the daemon",
        required: false,
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

const NO_CGROUP: &str = "cgroup v2 is not mounted";
const ONLY_A_PART: &str = "only a part of the machine's cgroups is visible from this container: give it the machine's cgroup namespace (`cgroupns=host`)";

/// The root of the machine's cgroups, or why it is not there. In a cgroup namespace of its own, a process
/// sees its own cgroup as the root: what is attached there runs for nobody else.
pub fn cgroup_root() -> Result<PathBuf, &'static str> {
    // Of the machine's first process, where this one may see it.
    let first = fs::read_to_string("/proc/1/mountinfo").unwrap_or_default();
    machine_root(&mounts(), &first, Path::new("/proc/1/root"))
}

/// Among one's own mounts and those of another process, whose root is at a path.
fn machine_root(own: &str, other: &str, at: &Path) -> Result<PathBuf, &'static str> {
    let own: Vec<PathBuf> = all_mounted(own, "cgroup2").collect();
    let reason = if own.is_empty() { NO_CGROUP } else { ONLY_A_PART };
    let others = all_mounted(other, "cgroup2")
        .filter_map(|mount| Some(at.join(mount.strip_prefix("/").ok()?)));
    own.into_iter().chain(others).find(|mount| is_machine_root(mount)).ok_or(reason)
}

/// Every cgroup but the root of all has a type.
fn is_machine_root(cgroup: &Path) -> bool {
    cgroup.join("cgroup.controllers").exists() && !cgroup.join("cgroup.type").exists()
}

fn mounted(mountinfo: &str, kind: &str) -> Option<PathBuf> {
    all_mounted(mountinfo, kind).next()
}

fn all_mounted(mountinfo: &str, kind: &str) -> impl Iterator<Item = PathBuf> {
    mountinfo.lines().filter_map(move |line| {
        let (mount, source) = line.split_once(" - ")?;
        (source.split(' ').next()? == kind).then_some(())?;
        Some(PathBuf::from(mount.split(' ').nth(4)?))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{NO_CGROUP, ONLY_A_PART, machine_root, mounted};

    #[test]
    fn mounts_are_found_by_type() {
        let mountinfo = "24 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                         31 24 0:29 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(mountinfo, "cgroup2"), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mounted(mountinfo, "bpf"), None);
    }

    #[test]
    fn root_of_all_cgroups_is_told_from_a_part_of_them() {
        let folder =
            std::env::temp_dir().join(format!("backupflow-cgroups-{}", std::process::id()));
        let line = |mount: &str| {
            format!("31 24 0:29 / {}/{mount} rw - cgroup2 cgroup2 rw\n", folder.display())
        };
        for (cgroup, files) in [
            ("part", &["cgroup.controllers", "cgroup.type"][..]),
            ("whole", &["cgroup.controllers"]),
            ("covered", &[]),
        ] {
            fs::create_dir_all(folder.join(cgroup)).unwrap();
            for file in files {
                fs::write(folder.join(cgroup).join(file), "").unwrap();
            }
        }
        let (part, whole) = (line("covered") + &line("part"), line("whole"));
        let root = "/".as_ref();
        assert_eq!(machine_root("", "", root), Err(NO_CGROUP));
        assert_eq!(machine_root(&part, "", root), Err(ONLY_A_PART));
        assert_eq!(machine_root(&part, &part, root), Err(ONLY_A_PART));
        let found = Ok(folder.join("whole"));
        assert_eq!(machine_root(&(part.clone() + &whole), "", root), found);
        assert_eq!(machine_root(&part, &whole, root), found);
        fs::remove_dir_all(folder).unwrap();
    }
}
