//! The set of documented ports, in the shape the programs test it.

use crate::Transport;

const PORTS: usize = 1 << 16;
const WORDS: usize = 2 * PORTS / 64;

/// One bit for each TCP and UDP port, 16 KiB.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    words: [u64; WORDS],
}

impl PortSet {
    /// Words of 64 ports.
    pub const WORDS: usize = WORDS;
    /// The set without any port.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// Where the bit of a port is: index of the word, and the mask in it.
    #[inline(always)]
    pub const fn position(transport: Transport, port: u16) -> (usize, u64) {
        let first = match transport {
            Transport::Tcp => 0,
            Transport::Udp => PORTS / 64,
        };
        (first + (port >> 6) as usize, 1 << (port & 63))
    }

    /// Adds a port.
    pub const fn insert(&mut self, transport: Transport, port: u16) {
        let (index, mask) = Self::position(transport, port);
        self.words[index] |= mask;
    }

    /// Whether the port is in the set.
    pub const fn contains(&self, transport: Transport, port: u16) -> bool {
        let (index, mask) = Self::position(transport, port);
        self.words[index] & mask != 0
    }

    /// The words as they stand in memory.
    pub const fn words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// The word at an index of [`PortSet::position`].
    #[inline(always)]
    pub const fn word_ptr(this: *const Self, index: usize) -> *const u64 {
        this.cast::<u64>().wrapping_add(index)
    }
}

#[cfg(test)]
mod tests {
    use super::{PortSet, Transport};

    #[test]
    fn holds_exactly_what_was_inserted() {
        let mut set = PortSet::EMPTY;
        let inserted = [(Transport::Tcp, 0), (Transport::Tcp, 50051), (Transport::Udp, 65535)];
        for (transport, port) in inserted {
            set.insert(transport, port);
        }
        for transport in [Transport::Tcp, Transport::Udp] {
            for port in 0..=u16::MAX {
                assert_eq!(
                    set.contains(transport, port),
                    inserted.contains(&(transport, port)),
                    "{transport:?} {port}"
                );
            }
        }
    }
}
