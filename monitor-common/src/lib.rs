//! The contract between the kernel programs and the daemon: what they count, what it is called,
//! and how a packet is read.
//!
//! Nothing here allocates or does I/O, so that the same code runs in the kernel, in the daemon and
//! in the tests. Values read back from a map are untrusted bytes: every field is a plain integer,
//! and the daemon decodes it with a checked `match`.

#![no_std]
#![expect(
    clippy::inline_always,
    reason = "a kernel program has no calls to spare and little stack"
)]

#[cfg(test)]
extern crate std;

pub mod attribution;
pub mod connections;
pub mod drops;
pub mod events;
pub mod flow;
pub mod handshake;
pub mod icmp;
pub mod kernel_memory;
pub mod loss;
pub mod names;
pub mod own;
pub mod packet;
pub mod ports;
pub mod slots;

pub use connections::{ConnectionCounts, Outcome};
pub use drops::{DropCounts, DropKey, Place};
pub use events::{Event, EventCounts, EventKey};
pub use flow::{ClockReading, Counters, FlowCounts, FlowKey, Side, Transport};
pub use handshake::{AttemptCounts, AttemptEnd, ConnectionKey, Handshake};
pub use icmp::IcmpKind;
pub use kernel_memory::{CAST_MARKER, Offsets, SOCKET_HEAD};
pub use loss::Loss;
pub use own::OwnAddresses;

/// Version of every layout in this crate. A change of any layout bumps it, and maps of another
/// version are never read.
pub const ABI_VERSION: u32 = 4;
