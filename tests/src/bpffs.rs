//! A file system of pins, and what is in it.

use std::{
    collections::BTreeMap,
    fs,
    mem::offset_of,
    path::{Path, PathBuf},
};

use monitor_common::{FlowCounts, names};

use crate::{
    Namespace, command, config,
    programs::{PinnedMap, users_of},
};

/// A file system of pins of its own, which takes them along when it goes.
#[derive(Debug)]
pub struct Bpffs(PathBuf);

impl Bpffs {
    /// A new one.
    pub fn mount(host: &Namespace) -> Self {
        let directory = PathBuf::from("/tmp").join(format!("{}-bpffs", host.name()));
        fs::create_dir(&directory).unwrap();
        command::run("mount", &["-t", "bpf", "none", directory.to_str().unwrap()]);
        Self(directory)
    }

    /// A config whose counts are pinned here.
    pub fn config(&self, flows: u32) -> String {
        self.pinning(config::SQL_SERVER, flows)
    }

    /// The same of another config.
    pub fn pinning(&self, config: &str, flows: u32) -> String {
        let pin = self.0.join("backupflow");
        format!("{config}\n[kernel]\nflows = {flows}\npin = \"{}\"\n", pin.display())
    }

    /// Takes it away, also while a daemon holds it.
    pub fn unmount(&self) {
        command::run("umount", &["--lazy", self.0.to_str().unwrap()]);
    }

    /// Every pin of the daemon.
    pub fn pins(&self) -> Vec<PathBuf> {
        let mut pins = Vec::new();
        gather(&self.0.join("backupflow"), &mut pins);
        pins.sort();
        pins
    }

    /// The pinned maps by name.
    pub fn maps(&self) -> BTreeMap<String, PinnedMap> {
        let name = |pin: &Path| pin.file_name().unwrap().to_str().unwrap().to_owned();
        self.pins().iter().map(|pin| (name(pin), PinnedMap::open(pin))).collect()
    }

    /// Packets of all flows that the pinned map has: received and transmitted. None where there is no
    /// map yet.
    pub fn packets(&self) -> (u64, u64) {
        let maps = self.maps();
        let sum = |field| maps.get(names::FLOWS).map_or(0, |flows| flows.sum(field));
        (
            sum(offset_of!(FlowCounts, received.packets)),
            sum(offset_of!(FlowCounts, transmitted.packets)),
        )
    }

    /// The names of the machine's programs that use one of the pinned maps.
    pub fn users(&self) -> Vec<String> {
        let maps: Vec<u32> = self.maps().values().map(PinnedMap::id).collect();
        users_of(&maps)
    }
}

fn gather(directory: &Path, pins: &mut Vec<PathBuf>) {
    // It is not there before the daemon has made it.
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            gather(&entry.path(), pins);
        } else {
            pins.push(entry.path());
        }
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // A test may have unmounted it.
        if fs::remove_dir(&self.0).is_err() {
            self.unmount();
            fs::remove_dir(&self.0).unwrap();
        }
    }
}
