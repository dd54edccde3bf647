//! What one flow is, and what is counted for it.

/// Which end of a flow this host is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Side {
    /// The host connects to the service port of a peer.
    Client = 0,
    /// A peer connects to a service port of the host.
    Server = 1,
}

impl Side {
    /// Decodes a byte from a map, `None` for any other value.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Client),
            1 => Some(Self::Server),
            _ => None,
        }
    }
}

/// A transport with service ports, by its IP protocol number.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp = 6,
    /// User Datagram Protocol.
    Udp = 17,
}

impl Transport {
    /// Decodes an IP protocol number, `None` for a protocol without service ports.
    pub const fn from_protocol(protocol: u8) -> Option<Self> {
        match protocol {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

/// The key of the flow map: 24 bytes, without the ephemeral port.
///
/// It is three words because the kernel hashes and compares it by words: fields that are written
/// one by one and read together stall the processor for longer than the rest of the lookup takes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The other machine: the 16 bytes of an IPv6 address as they stand in memory, IPv4 as
    /// `::ffff:a.b.c.d`.
    pub peer: [u64; 2],
    /// From the lowest bit: service port (16), [`Transport`] (8), [`Side`] (8), and 1 for traffic of
    /// the host with itself (1).
    pub service: u64,
}

impl FlowKey {
    /// A key for traffic that crosses an interface, or, with `loopback`, stays in the host.
    #[inline(always)]
    pub const fn new(
        peer: [u64; 2],
        service_port: u16,
        transport: Transport,
        side: Side,
        loopback: bool,
    ) -> Self {
        Self {
            peer,
            service: service_port as u64
                | (transport as u64) << 16
                | (side as u64) << 24
                | (loopback as u64) << 32,
        }
    }

    /// The documented destination port.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the port")]
    pub const fn service_port(&self) -> u16 {
        self.service as u16
    }

    /// The transport, `None` where the byte stands for none.
    #[expect(clippy::cast_possible_truncation, reason = "one byte of the word")]
    pub const fn transport(&self) -> Option<Transport> {
        Transport::from_protocol((self.service >> 16) as u8)
    }

    /// Which end this host is, `None` where the byte stands for neither.
    #[expect(clippy::cast_possible_truncation, reason = "one byte of the word")]
    pub const fn side(&self) -> Option<Side> {
        Side::from_byte((self.service >> 24) as u8)
    }

    /// Whether both ends are this host.
    pub const fn loopback(&self) -> bool {
        self.service >> 32 & 1 != 0
    }

    /// The peer's address in network byte order.
    #[expect(clippy::host_endian_bytes, reason = "a word is bytes in memory, not a number")]
    pub fn peer_octets(&self) -> [u8; 16] {
        let mut octets = [0; 16];
        for (eight, word) in octets.as_chunks_mut().0.iter_mut().zip(self.peer) {
            *eight = word.to_ne_bytes();
        }
        octets
    }

    /// What [`FlowKey::peer`] is for an address in network byte order.
    #[expect(clippy::host_endian_bytes, reason = "a word is bytes in memory, not a number")]
    pub fn peer_words(octets: [u8; 16]) -> [u64; 2] {
        let mut words = [0; 2];
        for (word, eight) in words.iter_mut().zip(octets.as_chunks().0) {
            *word = u64::from_ne_bytes(*eight);
        }
        words
    }
}

/// What was counted in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counters {
    /// Packets on the wire: the segments of a coalesced packet count one by one.
    pub packets: u64,
    /// Bytes on the wire with every header from the link layer up, without preamble and checksum.
    pub bytes: u64,
    /// TCP segments with SYN and without ACK.
    pub syn: u64,
    /// TCP segments with SYN and ACK.
    pub syn_ack: u64,
    /// TCP segments with FIN.
    pub fin: u64,
    /// TCP segments with RST.
    pub rst: u64,
}

/// The value of the flow map, one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowCounts {
    /// From the peer to this host.
    pub received: Counters,
    /// From this host to the peer.
    pub transmitted: Counters,
    /// When the last packet was received: in jiffies, 0 for never.
    pub last_received: u64,
    /// When the last packet was transmitted: in jiffies, 0 for never.
    pub last_transmitted: u64,
    /// How many of the transmitted packets came in from another device: the host passed them on.
    pub forwarded: u64,
    /// Index of the interface of the last packet that opened a connection, or of the first packet;
    /// 0 for none.
    pub interface: u32,
    /// What the last address of this host hashes to that was found among its own, 0 for none: the next
    /// packet of the same address need not be looked up.
    pub own: u32,
}

/// Two clocks of the kernel, read at the same time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// The clock of [`FlowCounts::last_received`].
    pub jiffies: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub monotonic_ns: u64,
}

impl Counters {
    /// Nothing counted.
    pub const ZERO: Self = Self { packets: 0, bytes: 0, syn: 0, syn_ack: 0, fin: 0, rst: 0 };
}

impl FlowCounts {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        received: Counters::ZERO,
        transmitted: Counters::ZERO,
        last_received: 0,
        last_transmitted: 0,
        forwarded: 0,
        interface: 0,
        own: 0,
    };
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<FlowKey>() == 24 && align_of::<FlowKey>() == 8);
    assert!(offset_of!(FlowKey, service) == 16);
    assert!(size_of::<ClockReading>() == 16);
    assert!(size_of::<Counters>() == 48);
    assert!(size_of::<FlowCounts>() == 128 && align_of::<FlowCounts>() == 8);
    assert!(offset_of!(FlowCounts, transmitted) == 48);
    assert!(offset_of!(FlowCounts, last_received) == 96);
    assert!(offset_of!(FlowCounts, last_transmitted) == 104);
    assert!(offset_of!(FlowCounts, forwarded) == 112);
    assert!(offset_of!(FlowCounts, interface) == 120);
};
