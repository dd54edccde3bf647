//! Packets and bytes on the wire, and how many they ought to be.

/// Packets and bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Packets.
    pub packets: u64,
    /// Bytes from the link layer's header on.
    pub bytes: u64,
}

impl Wire {
    /// That many packets of that many bytes in all.
    pub const fn new(packets: u64, bytes: u64) -> Self {
        Self { packets, bytes }
    }

    /// What was counted since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, bytes: self.bytes - before.bytes }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bytes: self.bytes + other.bytes }
    }
}

/// The segments of one direction of a TCP connection from its first one on, of which the kernel
/// says that there were `segments`. `headers` are those of link and IP layer.
///
/// Every segment has a TCP header of 20 bytes and 12 of timestamps; the first one, which opens the
/// connection, has 8 more for its options.
pub const fn segments(segments: u64, payload: u64, headers: u64) -> Wire {
    Wire::new(segments, payload + segments * (headers + 32) + 8)
}
