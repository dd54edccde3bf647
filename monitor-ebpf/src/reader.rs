//! Reads a packet's bytes where they lie: the only place that follows a packet pointer.

#![expect(unsafe_code, reason = "packet bytes are read through the pointers of the context")]

use monitor_common::packet::Bytes;

/// The linear part of a packet: the fast way, for headers that lie there.
pub(crate) struct Direct {
    start: usize,
    end: usize,
}

impl Direct {
    #[inline(always)]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl Direct {
    #[inline(always)]
    fn read<T: Field>(&self, at: usize) -> Option<T> {
        let from = self.start + at;
        if from + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the field was just seen to lie inside `data..data_end`, which the kernel keeps
        // valid while the program runs, and any bytes are a value of a `Field`.
        Some(unsafe { (from as *const T).read_unaligned() })
    }
}

impl Bytes for Direct {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        // With the byte behind it: for a single one the comparison becomes one that the verifier
        // does not follow. No header ends with a byte that is read alone.
        self.read(at).map(|[byte, _]: [u8; 2]| byte)
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<u16> {
        self.read(at).map(u16::from_be)
    }

    #[inline(always)]
    fn long_number(&self, at: usize) -> Option<u32> {
        self.read(at).map(u32::from_be)
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<u64> {
        self.read(at)
    }
}

/// Plain integers.
trait Field: Copy {}
impl Field for [u8; 2] {}
impl Field for u16 {}
impl Field for u32 {}
impl Field for u64 {}
