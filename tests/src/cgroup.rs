//! Limits of processor time and memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Namespace;

const ROOT: &str = "/sys/fs/cgroup";

/// A cgroup of its own, whichever version the machine has. It goes with the value, which its processes
/// have to have left by then.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// One that gives a part of a processor's time, in percent.
    pub fn of_processor(namespace: &Namespace, percent: u32) -> Self {
        const PERIOD: u32 = 100_000;
        let quota = PERIOD / 100 * percent;
        let group = Self::new(namespace, "cpu");
        if group.is_unified() {
            group.set("cpu.max", &format!("{quota} {PERIOD}"));
        } else {
            group.set("cpu.cfs_period_us", &PERIOD.to_string());
            group.set("cpu.cfs_quota_us", &quota.to_string());
        }
        group
    }

    /// One with so much memory, in MiB.
    pub fn of_memory(namespace: &Namespace, mebibytes: u64) -> Self {
        let group = Self::new(namespace, "memory");
        let file = if group.is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
        group.set(file, &(mebibytes << 20).to_string());
        group
    }

    fn new(namespace: &Namespace, controller: &str) -> Self {
        let unified = Path::new(ROOT).join("cgroup.subtree_control");
        let above = if unified.exists() {
            fs::write(unified, format!("+{controller}")).unwrap();
            PathBuf::from(ROOT)
        } else {
            Path::new(ROOT).join(controller)
        };
        let group = Self(above.join(namespace.name()));
        fs::create_dir(&group.0).unwrap();
        group
    }

    fn is_unified(&self) -> bool {
        self.0.parent() == Some(Path::new(ROOT))
    }

    fn set(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).unwrap();
    }

    /// Takes a process in.
    pub fn take(&self, pid: u32) {
        self.set("cgroup.procs", &pid.to_string());
    }

    /// What starts a program in it: its words come before the program's.
    pub fn words(&self) -> [String; 4] {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh".to_owned(), "-c".to_owned(), enter, "sh".to_owned()]
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}
