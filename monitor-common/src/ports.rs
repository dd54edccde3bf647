//! The set of documented ports, in the shape in which the programs test it.

use crate::Transport;

/// Ports of one transport.
const PORTS: usize = 1 << 16;

/// Words of a [`PortBits`].
pub const PORT_WORDS: usize = 2 * PORTS / 64;

/// One bit for each TCP and UDP port: 16 KiB.
pub type PortBits = [u64; PORT_WORDS];

/// Where the bit of a port is: index of the word, and the mask in it.
#[inline(always)]
pub const fn port_bit(transport: Transport, port: u16) -> (usize, u64) {
    let first = match transport {
        Transport::Tcp => 0,
        Transport::Udp => PORTS / 64,
    };
    (first + (port >> 6) as usize, 1 << (port & 63))
}

const _: () = assert!(size_of::<PortBits>() == 16 * 1024);
