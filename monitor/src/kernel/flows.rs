//! Reads the flow map in batches, makes room in it, and places connections that were open before.

use std::os::fd::AsFd as _;

use aya::{
    maps::{IterableMap as _, Map, MapData, MapError, PerCpuHashMap, PerCpuValues},
    util::nr_cpus,
};
use monitor_common::{FlowCounts, FlowKey, names};

use super::{Error, batch::Batch};
use crate::observe::add;

/// Entries read by one system call: 256 KiB for each pair of CPUs.
const BATCH: usize = 1024;

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Key(FlowKey);

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Value(FlowCounts);

#[expect(unsafe_code, reason = "aya asks for a promise that the layouts are plain bytes")]
mod pod {
    // SAFETY: `repr(C)` with explicit padding; every bit pattern is a valid value.
    unsafe impl aya::Pod for super::Key {}
    // SAFETY: `repr(C)` with explicit padding; every bit pattern is a valid value.
    unsafe impl aya::Pod for super::Value {}
}

/// The flow map in the kernel.
pub struct FlowMap {
    map: PerCpuHashMap<MapData, Key, Value>,
    capacity: u32,
    cpus: usize,
    batch: Batch,
}

impl std::fmt::Debug for FlowMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowMap").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl FlowMap {
    pub(super) fn new(map: Map, capacity: u32) -> Result<Self, Error> {
        let cpus = nr_cpus().map_err(|(_, source)| Error::Io { what: "counting CPUs", source })?;
        // aya compares the sizes of key and value with the map's here.
        let map = PerCpuHashMap::try_from(map).map_err(named)?;
        Ok(Self { map, capacity, cpus, batch: Batch::new(BATCH, cpus) })
    }

    /// How many flows fit.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Every flow, summed over the CPUs. The counts only grow.
    pub fn read(&mut self) -> Result<Vec<(FlowKey, FlowCounts)>, Error> {
        let mut flows = Vec::new();
        let mut from = None;
        loop {
            let map = self.map.map().fd().as_fd();
            let filled = match self.batch.lookup(map, from) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.batch = Batch::new(self.batch.keys.len() * 2, self.cpus);
                    continue;
                }
                result => {
                    result.map_err(|source| Error::Io { what: "reading the flow map", source })?
                }
            };
            let values = self.batch.values.chunks_exact(self.cpus);
            for (key, values) in self.batch.keys.iter().zip(values).take(filled.entries) {
                flows.push((*key, sum(values)));
            }
            from = filled.next;
            if from.is_none() {
                return Ok(flows);
            }
        }
    }

    /// Makes a flow without any count, unless it is there. `false` where the map is full.
    pub fn place(&mut self, key: FlowKey) -> Result<bool, Error> {
        const NO_EXIST: u64 = 1;
        let zeros = PerCpuValues::try_from(vec![Value(FlowCounts::ZERO); self.cpus])
            .map_err(|source| Error::Io { what: "placing a flow", source })?;
        match self.map.insert(Key(key), zeros, NO_EXIST) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(error)) => match error.io_error.raw_os_error() {
                Some(libc::EEXIST) => Ok(true),
                Some(libc::E2BIG) => Ok(false),
                _ => Err(named(MapError::SyscallError(error))),
            },
            Err(error) => Err(named(error)),
        }
    }

    /// Takes a flow out and gives what was counted for it until then.
    pub fn evict(&mut self, key: FlowKey) -> Result<Option<FlowCounts>, Error> {
        let values = match self.map.get(&Key(key), 0) {
            Ok(values) => values,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(named(error)),
        };
        self.map.remove(&Key(key)).map_err(named)?;
        let values: Vec<FlowCounts> = values.iter().map(|value| value.0).collect();
        Ok(Some(sum(&values)))
    }
}

fn named(source: MapError) -> Error {
    Error::Map { name: names::FLOWS, source }
}

fn sum(values: &[FlowCounts]) -> FlowCounts {
    let mut total = FlowCounts::ZERO;
    for value in values {
        add(&mut total.received, &value.received);
        add(&mut total.transmitted, &value.transmitted);
        total.forwarded += value.forwarded;
        let last = total.last_received.max(total.last_transmitted);
        if value.last_received.max(value.last_transmitted) > last {
            total.interface = value.interface;
        }
        total.last_received = total.last_received.max(value.last_received);
        total.last_transmitted = total.last_transmitted.max(value.last_transmitted);
    }
    total
}
