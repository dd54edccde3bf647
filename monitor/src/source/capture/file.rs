//! The frames of a capture file: pcap and pcapng.

use std::{fs::File, io::Read, path::Path};

use jiff::Timestamp;
use monitor_common::packet::Link;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, PcapHeader, create_reader};

/// No frame is larger: four times what a capture keeps of one at most.
const BUFFER: usize = 1 << 20;

/// Every block of pcapng has its type and twice its length.
const SHORTEST_BLOCK: u32 = 12;

/// One frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured.
    pub at: Timestamp,
    /// What it starts with.
    pub link: Link,
    /// Its bytes, from the first header that is parsed.
    pub bytes: &'a [u8],
    /// Bytes that it had on the wire, from there on.
    pub length: u64,
}

/// Why a file gives no frame, or no more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is none.
    #[error("this is no pcap or pcapng file")]
    NoCapture,
    /// It ends within a frame.
    #[error("the file ends in the middle of a frame")]
    Cut,
    /// It breaks the rules of its format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

/// What a file says besides its frames.
#[derive(Debug, Default)]
pub struct Summary {
    /// Frames that are not told: their link layer is not known, or they have no time.
    pub untold: u64,
    /// Why the file was not read to its end.
    pub fault: Option<Error>,
}

/// How the frames of an interface are written.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// Units of a second.
    resolution: u64,
    /// Seconds that are added.
    offset: i64,
}

/// Hands every frame of a file on, as [`read_from`] does.
pub fn read(path: &Path, each: impl FnMut(&Frame<'_>)) -> Result<Summary, Error> {
    read_from(File::open(path)?, each)
}

/// Hands every frame on, in the order of the file. What was read before a fault counts.
pub fn read_from(
    file: impl Read + Send,
    mut each: impl FnMut(&Frame<'_>),
) -> Result<Summary, Error> {
    let Ok(mut reader) = create_reader(BUFFER, file) else {
        return Err(Error::NoCapture);
    };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut length_of: Option<fn([u8; 4]) -> u32> = None;
    let mut summary = Summary::default();
    loop {
        // The library takes a shorter one for one of nearly 4 GiB.
        if let Some(length_of) = length_of
            && let Some(length) = reader.data().get(4..).and_then(<[u8]>::first_chunk)
            && length_of(*length) < SHORTEST_BLOCK
        {
            summary.fault = Some(Error::Damaged("a block is shorter than its header".to_owned()));
            return Ok(summary);
        }
        let read = match reader.next() {
            Ok((length, block)) => {
                if let PcapBlockOwned::NG(Block::SectionHeader(section)) = &block {
                    let big = section.big_endian();
                    length_of = Some(if big { u32::from_be_bytes } else { u32::from_le_bytes });
                }
                match frame(&block, &mut interfaces) {
                    Some(Ok(frame)) => each(&frame),
                    Some(Err(Untold)) => summary.untold += 1,
                    None => {}
                }
                Ok(length)
            }
            Err(error) => Err(error.to_owned_vec()),
        };
        let fault = match read {
            Ok(length) => {
                reader.consume(length);
                continue;
            }
            Err(PcapError::Eof) => return Ok(summary),
            Err(PcapError::Incomplete(_)) if !reader.reader_exhausted() => match reader.refill() {
                Ok(()) => continue,
                Err(error) => Error::Damaged(error.to_string()),
            },
            Err(PcapError::Incomplete(_) | PcapError::UnexpectedEof) => Error::Cut,
            Err(error) => Error::Damaged(error.to_string()),
        };
        summary.fault = Some(fault);
        return Ok(summary);
    }
}

/// A frame that cannot be told.
struct Untold;

/// The frame of a block, `None` for a block without one.
fn frame<'a>(
    block: &'a PcapBlockOwned<'a>,
    interfaces: &mut Vec<Interface>,
) -> Option<Result<Frame<'a>, Untold>> {
    let (interface, units, bytes, length) = match block {
        PcapBlockOwned::LegacyHeader(header) => {
            *interfaces = vec![Interface::of_file(header)];
            return None;
        }
        PcapBlockOwned::Legacy(frame) => {
            let interface = *interfaces.first()?;
            let seconds = u128::from(frame.ts_sec) * u128::from(interface.resolution);
            (interface, seconds + u128::from(frame.ts_usec), frame.data, frame.origlen)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            return None;
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            interfaces.push(Interface {
                link: interface.linktype,
                resolution: interface.ts_resolution().unwrap_or(1_000_000),
                offset: interface.if_tsoffset,
            });
            return None;
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
            let index = usize::try_from(frame.if_id).ok()?;
            let Some(interface) = interfaces.get(index) else {
                return Some(Err(Untold));
            };
            let units = u128::from(frame.ts_high) << 32 | u128::from(frame.ts_low);
            let kept = usize::try_from(frame.caplen).ok()?.min(frame.data.len());
            (*interface, units, &frame.data[..kept], frame.origlen)
        }
        PcapBlockOwned::NG(Block::SimplePacket(_)) => return Some(Err(Untold)),
        PcapBlockOwned::NG(_) => return None,
    };
    let told = interface.moment(units).zip(starts(interface.link));
    let Some((at, (skipped, link))) = told else {
        return Some(Err(Untold));
    };
    let length = u64::from(length).saturating_sub(skipped as u64);
    Some(Ok(Frame { at, link, bytes: bytes.get(skipped..).unwrap_or_default(), length }))
}

impl Interface {
    fn of_file(header: &PcapHeader) -> Self {
        let resolution = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
        Self { link: header.network, resolution, offset: 0 }
    }

    fn moment(self, units: u128) -> Option<Timestamp> {
        let nanoseconds = units.checked_mul(1_000_000_000)? / u128::from(self.resolution);
        let offset = i128::from(self.offset) * 1_000_000_000;
        Timestamp::from_nanosecond(i128::try_from(nanoseconds).ok()? + offset).ok()
    }
}

/// How many bytes stand before the first header that is parsed, and which one that is.
const fn starts(link: Linktype) -> Option<(usize, Link)> {
    match link {
        Linktype::ETHERNET => Some((0, Link::Ethernet)),
        // Raw IP has four numbers: 12 is that of some systems, 228 and 229 are of one version.
        Linktype::RAW | Linktype(12 | 228 | 229) => Some((0, Link::Ip)),
        Linktype::NULL | Linktype::LOOP => Some((4, Link::Ip)),
        Linktype::LINUX_SLL => Some((16, Link::Ip)),
        Linktype::LINUX_SLL2 => Some((20, Link::Ip)),
        _ => None,
    }
}
