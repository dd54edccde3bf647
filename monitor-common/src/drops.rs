//! Packets that the kernel drops.

use crate::FlowKey;

/// The key of the drop map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DropKey {
    /// The flow.
    pub flow: FlowKey,
    /// From the lowest bit: the reason as the kernel numbers it (32), whether the packet came in by a
    /// device (1), whether it asks for a connection (1), whether it was at a device (1), whether it had a route (1).
    pub what: u64,
}

/// Where a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// At a device, on the way in or out: behind everything that a socket does.
    pub at_device: bool,
    /// After its route had been looked for.
    pub routed: bool,
}

impl DropKey {
    /// A key for packets that are alike.
    #[inline(always)]
    pub const fn new(
        flow: FlowKey,
        reason: u32,
        received: bool,
        opening: bool,
        place: Place,
    ) -> Self {
        let place = place.at_device as u64 | (place.routed as u64) << 1;
        let bits = received as u64 | (opening as u64) << 1 | place << 2;
        Self { flow, what: reason as u64 | bits << 32 }
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

    /// Whether it was at a device, on the way in or out: behind everything that a socket does.
    pub const fn at_device(&self) -> bool {
        self.what >> 34 & 1 != 0
    }

    /// Whether its route had been looked for: what came in and has none was dropped at its device.
    pub const fn routed(&self) -> bool {
        self.what >> 35 & 1 != 0
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
    /// This host's address in the last one, as [`FlowKey::peer`] has the other.
    pub own: [u64; 2],
}

impl DropCounts {
    /// Nothing dropped.
    pub const ZERO: Self =
        Self { packets: 0, first: 0, last: 0, interface: 0, port: 0, padding: 0, own: [0; 2] };
}

const _: () = {
    assert!(size_of::<DropKey>() == 32 && align_of::<DropKey>() == 8);
    assert!(size_of::<DropCounts>() == 48 && align_of::<DropCounts>() == 8);
};
