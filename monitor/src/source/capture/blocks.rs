//! What the library that reads pcapng leaves undone.

use pcap_parser::{OptionCode, PcapNGOption, UnknownBlock};

/// The type of a Packet Block, which Enhanced Packet Blocks have replaced.
const PACKET_BLOCK: u32 = 2;
/// The option of a frame that has its flags.
const FLAGS: OptionCode = OptionCode(2);

/// A frame in a Packet Block.
pub(super) struct OldPacket<'a> {
    pub(super) interface: u16,
    pub(super) units: u128,
    pub(super) captured: u32,
    pub(super) length: u32,
    pub(super) data: &'a [u8],
}

impl<'a> OldPacket<'a> {
    /// The one of a block, if it is such a block.
    pub(super) fn of(block: &'a UnknownBlock<'a>, is_big_endian: bool) -> Option<Self> {
        // The library reads the type as if all were little-endian.
        let kind = if is_big_endian { block.block_type.swap_bytes() } else { block.block_type };
        if kind != PACKET_BLOCK {
            return None;
        }
        let at = |at: usize| Some(number(*block.data.get(at..)?.first_chunk()?, is_big_endian));
        let interface = *block.data.first_chunk()?;
        Some(Self {
            interface: if is_big_endian {
                u16::from_be_bytes(interface)
            } else {
                u16::from_le_bytes(interface)
            },
            units: u128::from(at(4)?) << 32 | u128::from(at(8)?),
            captured: at(12)?,
            length: at(16)?,
            data: block.data.get(20..)?,
        })
    }
}

/// The flags of a frame, where it has some.
pub(super) fn flags(options: &[PcapNGOption<'_>], is_big_endian: bool) -> Option<u32> {
    let option = options.iter().find(|option| option.code == FLAGS)?;
    Some(number(*option.as_bytes().ok()?.first_chunk()?, is_big_endian))
}

/// How many packets the statistics of an interface have as dropped.
pub(super) fn not_captured(options: &[PcapNGOption<'_>], is_big_endian: bool) -> u64 {
    let codes = [OptionCode::IsbIfDrop, OptionCode::IsbOsDrop];
    let from_bytes = if is_big_endian { u64::from_be_bytes } else { u64::from_le_bytes };
    let counts = options.iter().filter(|option| codes.contains(&option.code));
    let counts = counts.filter_map(|option| option.as_bytes().ok()?.first_chunk());
    counts.fold(0, |sum: u64, count| sum.saturating_add(from_bytes(*count)))
}

/// A number of a section.
pub(super) const fn number(bytes: [u8; 4], is_big_endian: bool) -> u32 {
    if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
