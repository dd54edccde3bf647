//! The maps in which the programs count: read in batches, and summed over the CPUs.

use std::{borrow::Borrow, os::fd::AsFd as _};

use aya::{
    maps::{IterableMap as _, Map, MapData, MapError, PerCpuHashMap, PerCpuValues},
    util::nr_cpus,
};
use monitor_common::{ConnectionCounts, DropCounts, EventCounts, FlowCounts};

use super::{Error, batch::Batch};
use crate::observe::add;

/// Entries read by one system call: 256 KiB for each pair of CPUs.
const BATCH: usize = 1024;

/// A key or value as aya takes it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Plain<T>(pub(super) T);

/// Keys and values of the maps.
#[expect(unsafe_code, reason = "aya asks for a promise that the layouts are plain bytes")]
mod layout {
    use monitor_common::{
        AttemptCounts, ConnectionCounts, ConnectionKey, DropCounts, DropKey, EventCounts, EventKey,
        FlowCounts, FlowKey, Handshake, handshake::Segment,
    };

    /// Plain bytes: `repr(C)` with explicit padding, and every bit pattern is a value.
    pub trait Layout: Copy + 'static {
        /// All bytes zero.
        const ZERO: Self;
    }

    impl Layout for FlowKey {
        const ZERO: Self = Self { peer: [0; 2], service: 0 };
    }

    impl Layout for DropKey {
        const ZERO: Self = Self { flow: FlowKey::ZERO, what: 0 };
    }

    impl Layout for EventKey {
        const ZERO: Self = Self { flow: FlowKey::ZERO, what: 0 };
    }

    impl Layout for FlowCounts {
        const ZERO: Self = Self::ZERO;
    }

    impl Layout for DropCounts {
        const ZERO: Self = Self::ZERO;
    }

    impl Layout for EventCounts {
        const ZERO: Self = Self::ZERO;
    }

    impl Layout for ConnectionCounts {
        const ZERO: Self = Self::ZERO;
    }

    impl Layout for ConnectionKey {
        const ZERO: Self = Self { flow: FlowKey::ZERO, own: [0; 2], port: 0 };
    }

    impl Layout for Handshake {
        const ZERO: Self =
            Self::begin(Segment { to_service: true, flags: 0, sequence: 0, has_data: false }, 0, 0);
    }

    impl Layout for AttemptCounts {
        const ZERO: Self = Self::ZERO;
    }

    // SAFETY: the trait is only implemented here, for types of which it is true.
    unsafe impl<T: Layout> aya::Pod for super::Plain<T> {}
}

pub use layout::Layout;

/// What a map keeps for every key, once for each CPU.
pub trait Counts: Layout {
    /// Takes in what another CPU counted.
    fn take_in(&mut self, other: &Self);
}

/// A map of the programs.
pub struct CountMap<K: Layout, V: Counts> {
    name: &'static str,
    map: PerCpuHashMap<MapData, Plain<K>, Plain<V>>,
    capacity: u32,
    cpus: usize,
    batch: Batch<K, V>,
}

impl<K: Layout, V: Counts> std::fmt::Debug for CountMap<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountMap").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<K: Layout, V: Counts> CountMap<K, V> {
    pub(super) fn new(name: &'static str, map: Map, capacity: u32) -> Result<Self, Error> {
        let cpus = nr_cpus().map_err(|(_, source)| Error::Io { what: "counting CPUs", source })?;
        // aya compares the sizes of key and value with the map's here.
        let map = PerCpuHashMap::try_from(map).map_err(|source| Error::Map { name, source })?;
        Ok(Self { name, map, capacity, cpus, batch: Batch::new(BATCH, cpus) })
    }

    /// How many entries fit.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The kernel's number of the map, which no other has until the host is booted again.
    pub fn id(&self) -> Option<u32> {
        self.map.map().info().ok().map(|info| info.id())
    }

    /// Gives every entry to `each`, summed over the CPUs. The counts only grow.
    pub fn read(&mut self, mut each: impl FnMut(K, V)) -> Result<(), Error> {
        let mut from = None;
        loop {
            let map = self.map.map().fd().as_fd();
            let filled = match self.batch.lookup(map, from) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.batch = Batch::new(self.batch.keys.len() * 2, self.cpus);
                    continue;
                }
                result => result.map_err(|source| Error::Io { what: "reading a map", source })?,
            };
            let values = self.batch.values.chunks_exact(self.cpus);
            for (key, values) in self.batch.keys.iter().zip(values).take(filled.entries) {
                each(*key, sum(values.iter()));
            }
            from = filled.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes an entry without any count, unless it is there. `false` where the map is full.
    pub fn place(&mut self, key: K) -> Result<bool, Error> {
        const NO_EXIST: u64 = 1;
        let zeros = PerCpuValues::try_from(vec![Plain(V::ZERO); self.cpus])
            .map_err(|source| Error::Io { what: "placing a flow", source })?;
        match self.map.insert(Plain(key), zeros, NO_EXIST) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) => match error.io_error.raw_os_error() {
                Some(libc::EEXIST) => Ok(true),
                Some(libc::E2BIG) => Ok(false),
                _ => Err(self.failed(MapError::SyscallError(error))),
            },
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Takes an entry out and gives what was counted for it until then.
    pub fn evict(&mut self, key: K) -> Result<Option<V>, Error> {
        let values = match self.map.get(&Plain(key), 0) {
            Ok(values) => values,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        self.map.remove(&Plain(key)).map_err(|error| self.failed(error))?;
        Ok(Some(sum(values.iter().map(|value| &value.0))))
    }

    fn failed(&self, source: MapError) -> Error {
        Error::Map { name: self.name, source }
    }
}

fn sum<V: Counts>(values: impl Iterator<Item: Borrow<V>>) -> V {
    let mut total = V::ZERO;
    for value in values {
        total.take_in(value.borrow());
    }
    total
}

impl Counts for FlowCounts {
    fn take_in(&mut self, other: &Self) {
        add(&mut self.received, &other.received);
        add(&mut self.transmitted, &other.transmitted);
        self.forwarded += other.forwarded;
        let last = self.last_received.max(self.last_transmitted);
        if other.last_received.max(other.last_transmitted) > last {
            self.interface = other.interface;
        }
        self.last_received = self.last_received.max(other.last_received);
        self.last_transmitted = self.last_transmitted.max(other.last_transmitted);
    }
}

impl Counts for DropCounts {
    fn take_in(&mut self, other: &Self) {
        self.packets += other.packets;
        self.first = first(self.first, other.first);
        if other.last > self.last {
            self.interface = other.interface;
            self.port = other.port;
            self.own = other.own;
        }
        self.last = self.last.max(other.last);
    }
}

impl Counts for EventCounts {
    fn take_in(&mut self, other: &Self) {
        self.times += other.times;
        self.first = first(self.first, other.first);
        self.last = self.last.max(other.last);
    }
}

/// The earlier of two times, of which 0 is never.
fn first(one: u64, other: u64) -> u64 {
    if one == 0 || other == 0 { one.max(other) } else { one.min(other) }
}

impl Counts for ConnectionCounts {
    fn take_in(&mut self, other: &Self) {
        for (mine, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += more;
        }
        let last_failure = |counts: &Self| counts.last.iter().skip(1).max().copied();
        if last_failure(other) > last_failure(self) {
            self.error = other.error;
        }
        for (mine, theirs) in self.last.iter_mut().zip(other.last) {
            *mine = theirs.max(*mine);
        }
        self.retransmitted += other.retransmitted;
        self.retransmitted_syn += other.retransmitted_syn;
        self.begun += other.begun;
        self.last_retransmitted = self.last_retransmitted.max(other.last_retransmitted);
    }
}
