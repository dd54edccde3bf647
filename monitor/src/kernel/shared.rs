//! Maps whose values all CPUs share, read in batches.

use std::os::fd::AsFd as _;

use aya::maps::{HashMap, IterableMap as _, Map, MapData, MapError};

use super::{
    Error,
    batch::Batch,
    counts::{Layout, Plain},
};

/// Entries read by one system call.
const BATCH: usize = 1024;

/// A map of the programs with one value for each key.
pub struct SharedMap<K: Layout, V: Layout> {
    name: &'static str,
    map: HashMap<MapData, Plain<K>, Plain<V>>,
    batch: Batch<K, V>,
}

impl<K: Layout, V: Layout> std::fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMap").finish_non_exhaustive()
    }
}

impl<K: Layout, V: Layout> SharedMap<K, V> {
    pub(super) fn new(name: &'static str, map: Map) -> Result<Self, Error> {
        // aya compares the sizes of key and value with the map's here.
        let map = HashMap::try_from(map).map_err(|source| Error::Map { name, source })?;
        Ok(Self { name, map, batch: Batch::new(BATCH, 1) })
    }

    /// Gives every entry to `each`.
    pub fn read(&mut self, mut each: impl FnMut(K, V)) -> Result<(), Error> {
        let mut from = None;
        loop {
            let filled = match self.batch.lookup(self.map.map().fd().as_fd(), from) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                    self.batch = Batch::new(self.batch.keys.len() * 2, 1);
                    continue;
                }
                result => result.map_err(|source| Error::Io { what: "reading a map", source })?,
            };
            let entries = self.batch.keys.iter().zip(&self.batch.values);
            entries.take(filled.entries).for_each(|(key, value)| each(*key, *value));
            from = filled.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes an entry out, if it is there.
    pub fn evict(&mut self, key: K) -> Result<(), Error> {
        match self.map.remove(&Plain(key)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(source) => Err(Error::Map { name: self.name, source }),
        }
    }
}
