//! The set of documented ports, in the shape in which the programs test it.

use crate::Transport;

/// Ports of one transport.
const PORTS: usize = 1 << 16;

/// Words of a [`PortBits`].
pub const PORT_WORDS: usize = 2 * PORTS / 64;

/// One bit for each TCP and UDP port: 16 KiB.
pub type PortBits = [u64; PORT_WORDS];

/// Where the bit of a port is: index of the word, and the mask in it.
///
/// Bits stand in the order of the ports' network byte order. A port goes in as the packet has it,
/// and the verifier knows the range of what was loaded; that of a number with its bytes swapped
/// kernels up to 6.12 do not.
#[inline(always)]
pub const fn port_bit(transport: Transport, port: u16) -> (usize, u64) {
    let port = port.to_be();
    let first = match transport {
        Transport::Tcp => 0,
        Transport::Udp => PORTS / 64,
    };
    (first + (port >> 6) as usize, 1 << (port & 63))
}

const _: () = assert!(size_of::<PortBits>() == 16 * 1024);
