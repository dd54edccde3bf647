//! `BPF_MAP_LOOKUP_BATCH`, which aya does not have: many entries of a map in one call.

#![expect(unsafe_code, reason = "bpf(2) is a system call that takes addresses")]

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use super::Layout;

const LOOKUP_BATCH: libc::c_long = 24;

/// `union bpf_attr`, the part for batches.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Room for one batch of keys and of values, `cpus` values for each key.
#[derive(Debug)]
pub(super) struct Batch<K, V> {
    /// Keys of the batch.
    pub(super) keys: Vec<K>,
    /// Values of the batch: all of the first key's, then all of the second's.
    pub(super) values: Vec<V>,
    cpus: usize,
}

/// Where the next batch starts, opaque to us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position(u32);

/// What a lookup gave: how many entries, and where to go on, `None` at the end of the map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub(super) entries: usize,
    pub(super) next: Option<Position>,
}

impl<K: Layout, V: Layout> Batch<K, V> {
    /// Room for `entries` entries of a map on a machine with `cpus` possible CPUs.
    pub(super) fn new(entries: usize, cpus: usize) -> Self {
        Self { keys: vec![K::ZERO; entries], values: vec![V::ZERO; entries * cpus], cpus }
    }

    /// Fills the batch from a per-CPU hash with such keys and values.
    ///
    /// # Errors
    ///
    /// `ENOSPC` where one bucket of the hash holds more entries than the batch.
    pub(super) fn lookup(
        &mut self,
        map: BorrowedFd<'_>,
        from: Option<Position>,
    ) -> io::Result<Filled> {
        let start = from.map(|position| position.0);
        let mut end = 0_u32;
        let mut attributes = Attributes {
            in_batch: start.as_ref().map_or(0, |start| std::ptr::from_ref(start) as u64),
            out_batch: (&raw mut end) as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: u32::try_from(self.keys.len().min(self.values.len() / self.cpus))
                .map_err(io::Error::other)?,
            map: u32::try_from(map.as_raw_fd()).map_err(io::Error::other)?,
            ..Attributes::default()
        };
        // SAFETY: the kernel writes at most `count` keys and `count * cpus` values, for which the
        // two vectors have room (the map's key and value sizes are checked when it is opened), and
        // one word at `out_batch`; every address outlives the call.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, LOOKUP_BATCH, &raw mut attributes, size_of::<Attributes>())
        };
        let next = if result == 0 {
            Some(Position(end))
        } else {
            match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ENOENT) => None,
                error => return Err(error),
            }
        };
        Ok(Filled { entries: attributes.count as usize, next })
    }
}
