//! Ports that the daemon says: those that are documented, and its own, whose packets are no traffic of a backup.

#![expect(unsafe_code, reason = "globals are shared with the daemon by address")]

use core::cell::UnsafeCell;

use monitor_common::{
    Transport,
    attribution::Documented,
    packet::Packet,
    ports::{PORT_WORDS, PortBits, port_bit},
};

/// The documented ports, written by the daemon while the programs run.
#[repr(transparent)]
struct SharedPorts(UnsafeCell<PortBits>);

// SAFETY: the programs only read it, one aligned word at a time, and the daemon writes it through
// the map, where a word is old or new and nothing between.
unsafe impl Sync for SharedPorts {}

#[unsafe(link_section = ".data.ports")]
#[unsafe(no_mangle)]
static DOCUMENTED: SharedPorts = SharedPorts(UnsafeCell::new([0; PORT_WORDS]));

/// The daemon's own local ports, written by it while the programs run. From the lowest bit: the TCP port of its probes (16), 0 for
/// none; the first UDP port of its questions for names (16), and how many there are (16).
#[repr(transparent)]
struct SharedPort(UnsafeCell<u64>);

// SAFETY: as of the documented ports; it is one aligned word.
unsafe impl Sync for SharedPort {}

#[unsafe(link_section = ".data.probe")]
#[unsafe(no_mangle)]
static PROBE_PORT: SharedPort = SharedPort(UnsafeCell::new(0));

/// Which of the ports are documented.
#[inline(always)]
pub(crate) fn documented(packet: Packet) -> Documented {
    Documented {
        destination: is_documented(packet.transport, packet.destination_port),
        source: is_documented(packet.transport, packet.source_port),
    }
}

/// Whether a port is documented.
#[inline(always)]
pub(crate) fn is_documented(transport: Transport, port: u16) -> bool {
    let (index, mask) = port_bit(transport, port);
    let word = DOCUMENTED.0.get().cast::<u64>().wrapping_add(index);
    // SAFETY: `port_bit` gives an index inside the set for every transport and port, and the
    // static lives as long as the program.
    unsafe { word.read_volatile() & mask != 0 }
}

/// Whether a TCP port of this host is that of the daemon's own probes, which are no traffic of a backup.
#[inline(always)]
pub(crate) fn is_probe(own_port: u16) -> bool {
    // SAFETY: the static lives as long as the program.
    let probe = unsafe { PROBE_PORT.0.get().read_volatile() } & 0xffff;
    probe != 0 && u64::from(own_port) == probe
}

/// Whether a UDP port of this host is one of the daemon's own questions for names.
#[inline(always)]
fn is_question(own_port: u16) -> bool {
    // SAFETY: the static lives as long as the program.
    let ports = unsafe { PROBE_PORT.0.get().read_volatile() } >> 16;
    u64::from(own_port).wrapping_sub(ports & 0xffff) < ports >> 16
}

/// Whether a packet is one of the daemon's own, or an answer to one. Of what the host sends to itself, both
/// ports are its own.
#[inline(always)]
pub(crate) fn is_of_probe(packet: &Packet, received: bool, loopback: bool) -> bool {
    let Packet { transport, source_port, destination_port, .. } = *packet;
    let (own, other) =
        if received { (destination_port, source_port) } else { (source_port, destination_port) };
    match transport {
        Transport::Tcp => is_probe(own) || loopback && is_probe(other),
        Transport::Udp => is_question(own) || loopback && is_question(other),
    }
}
