//! Packets that the kernel drops.

use crate::FlowKey;

/// The key of the drop map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DropKey {
    /// The flow.
    pub flow: FlowKey,
    /// From the lowest bit: the reason as the kernel numbers it (32), whether the packet came in by a
    /// device (1), whether it asks for a connection (1).
    pub what: u64,
}

impl DropKey {
    /// A key for packets that are alike.
    #[inline(always)]
    pub const fn new(flow: FlowKey, reason: u32, received: bool, opening: bool) -> Self {
        Self { flow, what: reason as u64 | (received as u64) << 32 | (opening as u64) << 33 }
    }

    /// The reason, as the running kernel numbers it.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the reason")]
    pub const fn reason(&self) -> u32 {
        self.what as u32
    }

    /// Whether the packet came in by a device; else this host sent it.
    pub const fn received(&self) -> bool {
        self.what >> 32 & 1 != 0
    }

    /// Whether it asks for a connection: SYN without ACK.
    pub const fn opening(&self) -> bool {
        self.what >> 33 & 1 != 0
    }
}

/// The value of the drop map, one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropCounts {
    /// Packets on the wire that they are or would have been.
    pub packets: u64,
    /// When the first was dropped: in jiffies, 0 for never.
    pub first: u64,
    /// When the last was dropped: in jiffies, 0 for never.
    pub last: u64,
    /// Index of the interface of the last one, 0 for none.
    pub interface: u32,
    /// The port of the last one that is not the service's: it tells which session it belonged to.
    pub port: u16,
    /// Always zero.
    pub padding: u16,
}

impl DropCounts {
    /// Nothing dropped.
    pub const ZERO: Self =
        Self { packets: 0, first: 0, last: 0, interface: 0, port: 0, padding: 0 };
}

const _: () = {
    assert!(size_of::<DropKey>() == 32 && align_of::<DropKey>() == 8);
    assert!(size_of::<DropCounts>() == 32 && align_of::<DropCounts>() == 8);
};
