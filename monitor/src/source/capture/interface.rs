//! How the frames of one interface are written: link layer, time, check sequence.

use jiff::Timestamp;
use monitor_common::packet::{Bytes as _, Link};
use pcap_parser::{InterfaceDescriptionBlock, Linktype, OptionCode, PcapHeader};

use super::file::{Left, Place};

/// Not a packet of IP: no header has this version.
const NOT_IP: &[u8] = &[0];

/// Bits of the field of the link type in a pcap file that are the link type, as libpcap reads them.
const LINK_TYPE: i32 = 0x03ff_ffff;
/// The bit that says that the length of the check sequence is given.
const HAS_FCS: i32 = 0x0400_0000;

/// The option of an interface that says how long its check sequences are.
const FCS_LENGTH: OptionCode = OptionCode(13);

/// The type of a frame that is for another machine, `PACKET_OTHERHOST`.
const FOR_ANOTHER: u8 = 3;

/// Ethernet, as `ARPHRD_` numbers it.
const ETHER: u16 = 1;
/// The loopback device, whose frames have an Ethernet header too.
const LOOPBACK: u16 = 772;
/// Bytes of an Ethernet header.
const ETHERNET_HEADER: u64 = 14;

/// How the frames of an interface are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    link: Linktype,
    resolution: Resolution,
    /// Seconds that are added.
    offset: i64,
    /// Bytes of the check sequence behind each frame.
    fcs: u32,
    /// Where its frames were captured, as far as the file says.
    place: Place,
}

/// Units of a second.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// Ten to this power.
    Decimal(u32),
    /// Two to this power.
    Binary(u32),
}

/// What a frame starts with, and what of its length is on the wire.
pub(super) struct Start<'a> {
    pub(super) link: Link,
    pub(super) bytes: &'a [u8],
    /// Bytes on the wire, from there on.
    pub(super) length: u64,
    pub(super) place: Place,
    pub(super) is_loopback: bool,
}

impl Interface {
    /// That of all frames of a pcap file.
    pub(super) fn of_file(header: &PcapHeader) -> Self {
        let Linktype(field) = header.network;
        // In units of two bytes.
        let words = field.cast_unsigned() >> 28;
        Self {
            link: Linktype(field & LINK_TYPE),
            resolution: Resolution::Decimal(if header.is_nanosecond_precision() { 9 } else { 6 }),
            offset: 0,
            fcs: if field & HAS_FCS == 0 { 0 } else { 2 * words },
            place: Place::Single,
        }
    }

    /// One of a pcapng section, by its number. The library takes a power of two for one of ten, and offsets
    /// for little-endian ones.
    pub(super) fn of_block(
        block: &InterfaceDescriptionBlock<'_>,
        number: usize,
        is_big_endian: bool,
    ) -> Self {
        let option = |code| {
            let found = block.options.iter().find(|option| option.code == code);
            found.and_then(|option| option.as_bytes().ok())
        };
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk());
        let from_bytes = if is_big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
        let fcs = option(FCS_LENGTH).and_then(|value| value.first()).copied().unwrap_or(0);
        Self {
            link: block.linktype,
            resolution: match block.if_tsresol {
                power @ 0..0x80 => Resolution::Decimal(power.into()),
                power => Resolution::Binary((power & 0x7f).into()),
            },
            offset: offset.map_or(0, |offset| from_bytes(*offset)),
            // In bits, says the format; many a program writes bytes. None has fewer than 16 bits.
            fcs: u32::from(if fcs < 16 { fcs } else { fcs / 8 }),
            place: Place::Interface(number as u64),
        }
    }

    /// The moment that a number of units stands for.
    pub(super) fn moment(self, units: u128) -> Option<Timestamp> {
        let nanoseconds = units.checked_mul(1_000_000_000)?;
        let nanoseconds = match self.resolution {
            Resolution::Decimal(power) => {
                10_u128.checked_pow(power).map_or(0, |units| nanoseconds / units)
            }
            Resolution::Binary(power) => nanoseconds >> power,
        };
        let offset = i128::from(self.offset) * 1_000_000_000;
        Timestamp::from_nanosecond(i128::try_from(nanoseconds).ok()? + offset).ok()
    }

    /// Units of a second and a fraction, as a pcap file gives them.
    pub(super) fn units(self, seconds: u32, fraction: u32) -> u128 {
        let of_a_second = match self.resolution {
            Resolution::Decimal(power) => 10_u128.pow(power),
            Resolution::Binary(power) => 1 << power,
        };
        u128::from(seconds) * of_a_second + u128::from(fraction)
    }

    /// Where the first header that is parsed stands in a frame of that many bytes on the wire. `fcs` are
    /// the bytes of its check sequence, where the frame itself says.
    pub(super) fn start<'a>(
        &self,
        bytes: &'a [u8],
        length: u32,
        fcs: Option<u32>,
    ) -> Result<Start<'a>, Left> {
        let length = u64::from(length.saturating_sub(fcs.unwrap_or(self.fcs)));
        let start = |skipped: usize, link| Start {
            link,
            bytes: bytes.get(skipped..).unwrap_or_default(),
            length: length.saturating_sub(skipped as u64),
            place: self.place,
            is_loopback: false,
        };
        Ok(match self.link {
            // The loopback device of Linux has no addresses.
            Linktype::ETHERNET => {
                let is_loopback = bytes.get(..12).is_some_and(|ends| ends.iter().all(|b| *b == 0));
                Start { is_loopback, ..start(0, Link::Ethernet) }
            }
            // Raw IP has four numbers: 12 is that of some systems, 228 and 229 are of one version.
            Linktype::RAW | Linktype(12 | 228 | 229) => start(0, Link::Ip),
            Linktype::NULL | Linktype::LOOP => start(4, Link::Ip),
            Linktype::LINUX_SLL => Cooked {
                protocol: bytes.number(14),
                hardware: bytes.number(2),
                kind: bytes.byte(1),
                header: 16,
                place: Place::Any,
            }
            .start(bytes, length),
            Linktype::LINUX_SLL2 => Cooked {
                protocol: bytes.number(0),
                hardware: bytes.number(8),
                kind: bytes.byte(10),
                header: 20,
                place: match bytes.long_number(4) {
                    Some(index) => Place::Interface(self.place.number() << 32 | u64::from(index)),
                    None => Place::Any,
                },
            }
            .start(bytes, length),
            _ => return Err(Left::UnknownLink),
        })
    }
}

/// A header that stands for the link layer where frames of all devices are captured together.
struct Cooked {
    protocol: Option<u16>,
    hardware: Option<u16>,
    kind: Option<u8>,
    header: usize,
    place: Place,
}

impl Cooked {
    fn start<'a>(&self, bytes: &'a [u8], length: u64) -> Start<'a> {
        let protocol = self.protocol.filter(|_| self.kind != Some(FOR_ANOTHER));
        let network = protocol.and_then(|protocol| network(bytes, self.header, protocol));
        let (bytes, length) = match network {
            Some(at) => (bytes.get(at..).unwrap_or_default(), length.saturating_sub(at as u64)),
            None => (NOT_IP, length.saturating_sub(self.header as u64)),
        };
        // The header stands for one that was on the wire, and the tags behind it were too.
        let replaced = match self.hardware {
            Some(ETHER | LOOPBACK) => ETHERNET_HEADER,
            _ => 0,
        };
        let tags = network.map_or(0, |at| at - self.header) as u64;
        Start {
            link: Link::Ip,
            bytes,
            length: length + replaced + tags,
            place: self.place,
            is_loopback: self.hardware == Some(LOOPBACK),
        }
    }
}

/// Where the IP header stands in an Ethernet frame, if there is one.
pub(super) fn ethernet(bytes: &[u8]) -> Option<usize> {
    network(bytes, 14, bytes.number(12)?)
}

/// Where the IP header stands behind VLAN tags; `None` where the protocol is another one.
fn network(bytes: &[u8], at: usize, protocol: u16) -> Option<usize> {
    /// As many as the kernel and a capture can put before one another.
    const MOST_TAGS: usize = 4;

    let (mut at, mut protocol) = (at, protocol);
    for _ in 0..=MOST_TAGS {
        match protocol {
            0x0800 | 0x86dd => return Some(at),
            0x8100 | 0x88a8 | 0x9100 => {
                protocol = bytes.number(at + 2)?;
                at += 4;
            }
            _ => return None,
        }
    }
    None
}
