//! Maps that outlive the daemon: pinned in bpffs, so that a restart, an upgrade or a kill loses no
//! count.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use aya::maps::{MapInfo, MapType};
use monitor_common::{
    ABI_VERSION, AttemptCounts, ConnectionCounts, DropCounts, DropKey, EventCounts, EventKey,
    FlowCounts, FlowKey, Loss, names,
};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::statfs::{FsType, statfs},
};

/// What a file system of pins is called by the kernel.
const BPF_FS: i64 = 0xcafe_4a11;

/// What two daemons that count into the same maps are told: every packet would count twice.
const COUNTED_ALREADY: &str = "another backupflow counts there. One watches all products of a host: add a \
                               [[system]] to its config, or end it first (`systemctl stop backupflow`)";

/// Where the maps of this version and this network namespace are pinned. No other daemon counts there
/// while the value is held, nor is it in the way after a kill.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
    _lock: Flock<fs::File>,
}

/// What a map has to be like to be used again: the kernel would let any other be used, and be written
/// past its end.
struct Layout {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: u32,
}

impl Pins {
    /// Prepares the place below a directory. `None` where it is not in bpffs: then the maps go with
    /// the daemon.
    pub fn prepare(below: &Path, flows: u32) -> io::Result<Option<Self>> {
        // The directory itself, where a unit has put it into place alone.
        if !below.ancestors().take(2).any(is_bpffs) {
            tracing::warn!(
                "{} is not in bpffs: counts begin at zero with every start",
                below.display()
            );
            return Ok(None);
        }
        let namespace = fs::metadata("/proc/self/ns/net")?.ino();
        let directory = below.join(format!("v{ABI_VERSION}-{namespace}"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let pins = Self { _lock: lock(&directory)?, directory };
        pins.remove_what_does_not_fit(&layouts(flows))?;
        Ok(Some(pins))
    }

    /// The pinned maps, with their files.
    pub fn maps(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        layouts(0).into_iter().map(|layout| (layout.name, self.path(layout.name)))
    }

    /// All of them or none: counts of one flow in different maps belong together.
    fn remove_what_does_not_fit(&self, layouts: &[Layout]) -> io::Result<()> {
        let is_there = |layout: &&Layout| self.path(layout.name).exists();
        let fits = |layout: &Layout| layout.fits(&self.path(layout.name));
        let Some(odd) = layouts.iter().find(|layout| !fits(layout)) else { return Ok(()) };
        let there: Vec<&Layout> = layouts.iter().filter(is_there).collect();
        if there.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            map = odd.name,
            "a pinned map is missing or has another layout: counting starts afresh"
        );
        there.into_iter().try_for_each(|layout| fs::remove_file(self.path(layout.name)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn lock(directory: &Path) -> io::Result<Flock<fs::File>> {
    let held = Flock::lock(fs::File::open(directory)?, FlockArg::LockExclusiveNonblock);
    held.map_err(|(_, errno)| {
        if errno == Errno::EWOULDBLOCK { io::Error::other(COUNTED_ALREADY) } else { errno.into() }
    })
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == FsType(BPF_FS))
}

fn layouts(flows: u32) -> [Layout; 7] {
    let hash =
        |name, key, value| Layout { name, kind: MapType::PerCpuHash, key, value, entries: flows };
    [
        hash(names::FLOWS, size_of::<FlowKey>(), size_of::<FlowCounts>()),
        hash(names::SOCKETS, size_of::<FlowKey>(), size_of::<FlowCounts>()),
        hash(names::DROPS, size_of::<DropKey>(), size_of::<DropCounts>()),
        hash(names::CONNECTIONS, size_of::<FlowKey>(), size_of::<ConnectionCounts>()),
        hash(names::EVENTS, size_of::<EventKey>(), size_of::<EventCounts>()),
        Layout {
            name: names::ATTEMPTS,
            kind: MapType::Hash,
            key: size_of::<FlowKey>(),
            value: size_of::<AttemptCounts>(),
            entries: flows,
        },
        Layout {
            name: names::LOST,
            kind: MapType::PerCpuArray,
            key: size_of::<u32>(),
            value: size_of::<u64>(),
            entries: Loss::COUNT,
        },
    ]
}

impl Layout {
    fn fits(&self, pin: &Path) -> bool {
        let size = |bytes: u32| usize::try_from(bytes).ok();
        MapInfo::from_pin(pin).is_ok_and(|found| {
            found.map_type().is_ok_and(|kind| kind == self.kind)
                && size(found.key_size()) == Some(self.key)
                && size(found.value_size()) == Some(self.value)
                && found.max_entries() == self.entries
        })
    }
}
