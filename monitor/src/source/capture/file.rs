//! The frames of a capture file: pcap and pcapng.

use std::{collections::BTreeMap, io::Read};

use jiff::Timestamp;
use monitor_common::packet::Link;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::{
    blocks::{OldPacket, flags, not_captured, number},
    interface::Interface,
};

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
    /// Bytes that it had on the wire, with its link layer, without its check sequence.
    pub length: u64,
    /// Where it was captured.
    pub place: Place,
    /// It is one of the loopback device.
    pub is_loopback: bool,
}

/// Where a frame was captured: a packet that crosses several devices has a frame at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the only device of the file.
    Single,
    /// At the device of that number.
    Interface(u64),
    /// At any device: it is not said which.
    Any,
}

impl Place {
    /// The number of the device, where there are several.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Interface(number) => number,
            Self::Single | Self::Any => 0,
        }
    }
}

/// Why a file gives no frame, or no more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not a capture.
    #[error("this is no pcap or pcapng file")]
    NoCapture,
    /// It ends within a frame.
    #[error("the file ends in the middle of a frame")]
    Cut,
    /// It breaks the rules of its format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

/// Why a frame is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its link layer is not known.
    UnknownLink,
    /// It has no time: Simple Packet Blocks have none.
    WithoutTime,
    /// It names an interface that the file does not describe.
    WithoutInterface,
}

/// What a file says besides its frames.
#[derive(Debug, Default)]
pub struct Summary {
    /// Frames left out because their link layer is not known.
    pub unknown_link: u64,
    /// Frames left out because they have no time.
    pub without_time: u64,
    /// Frames left out because the file does not describe their interface.
    pub without_interface: u64,
    /// Packets that the capturing program counted as not captured, over all interfaces.
    pub not_captured: u64,
    /// Why the file was not read to its end.
    pub fault: Option<Error>,
}

/// Hands every frame on, in the order of the file. What was read before a fault counts.
pub fn read_from(
    file: impl Read + Send,
    mut each: impl FnMut(&Frame<'_>),
) -> Result<Summary, Error> {
    let Ok(mut reader) = create_reader(BUFFER, file) else {
        return Err(Error::NoCapture);
    };
    let mut section = Section::default();
    let mut summary = Summary::default();
    loop {
        // The library takes a shorter one for one of nearly 4 GiB.
        if section.is_ng
            && let Some(length) = reader.data().get(4..).and_then(<[u8]>::first_chunk)
            && number(*length, section.is_big_endian) < SHORTEST_BLOCK
        {
            summary.fault = Some(Error::Damaged("a block is shorter than its header".to_owned()));
            return Ok(summary);
        }
        let read = match reader.next() {
            Ok((length, block)) => match section.frame(&block, &mut summary) {
                Ok(Some(frame)) => {
                    each(&frame);
                    Ok(length)
                }
                Ok(None) => Ok(length),
                Err(fault) => {
                    summary.fault = Some(fault);
                    return Ok(summary);
                }
            },
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
            Err(PcapError::BufferTooSmall) => {
                Error::Damaged("a frame is longer than any frame".to_owned())
            }
            Err(error) => Error::Damaged(error.to_string()),
        };
        summary.fault = Some(fault);
        return Ok(summary);
    }
}

/// What the blocks before say of those that follow.
#[derive(Debug, Default)]
struct Section {
    interfaces: Vec<Interface>,
    /// Packets of each interface that were not captured.
    not_captured: BTreeMap<u32, u64>,
    is_ng: bool,
    is_big_endian: bool,
}

impl Section {
    /// The frame of a block, `None` for a block without one or with one that is left out.
    fn frame<'a>(
        &mut self,
        block: &'a PcapBlockOwned<'a>,
        summary: &mut Summary,
    ) -> Result<Option<Frame<'a>>, Error> {
        let packet = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.interfaces = vec![Interface::of_file(header)];
                return Ok(None);
            }
            PcapBlockOwned::Legacy(frame) => {
                // A file whose end was never written: the disk has zeros there.
                if (frame.ts_sec, frame.caplen, frame.origlen) == (0, 0, 0) {
                    return Err(Error::Damaged("it goes on with zeros".to_owned()));
                }
                let interface = self.interfaces.first();
                let units = interface.map_or(0, |i| i.units(frame.ts_sec, frame.ts_usec));
                self.timed(0, units, frame.data, frame.origlen, None)
            }
            PcapBlockOwned::NG(Block::SectionHeader(header)) => {
                let is_big_endian = header.big_endian();
                *self = Self { is_ng: true, is_big_endian, ..Self::default() };
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(block)) => {
                let number = self.interfaces.len();
                self.interfaces.push(Interface::of_block(block, number, self.is_big_endian));
                return Ok(None);
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
                let units = u128::from(frame.ts_high) << 32 | u128::from(frame.ts_low);
                let kept = kept(frame.data, frame.caplen);
                let fcs = flags(&frame.options, self.is_big_endian).map(|flags| flags >> 5 & 0xf);
                let fcs = fcs.filter(|length| *length > 0);
                self.timed(frame.if_id, units, kept, frame.origlen, fcs)
            }
            PcapBlockOwned::NG(Block::SimplePacket(_)) => Err(Left::WithoutTime),
            PcapBlockOwned::NG(Block::Unknown(block)) => {
                let Some(old) = OldPacket::of(block, self.is_big_endian) else { return Ok(None) };
                let kept = kept(old.data, old.captured);
                self.timed(old.interface.into(), old.units, kept, old.length, None)
            }
            PcapBlockOwned::NG(Block::InterfaceStatistics(block)) => {
                // It says how many until now, and may come again.
                let count = not_captured(&block.options, self.is_big_endian);
                let before = self.not_captured.insert(block.if_id, count).unwrap_or(0);
                let more = count.saturating_sub(before);
                summary.not_captured = summary.not_captured.saturating_add(more);
                return Ok(None);
            }
            PcapBlockOwned::NG(_) => return Ok(None),
        };
        Ok(packet.map_err(|left| summary.leave(left)).ok())
    }

    fn timed<'a>(
        &self,
        interface: u32,
        units: u128,
        bytes: &'a [u8],
        length: u32,
        fcs: Option<u32>,
    ) -> Result<Frame<'a>, Left> {
        let interface = usize::try_from(interface).ok().and_then(|at| self.interfaces.get(at));
        let interface = interface.ok_or(Left::WithoutInterface)?;
        let start = interface.start(bytes, length, fcs)?;
        let at = interface.moment(units).ok_or(Left::WithoutTime)?;
        let (link, bytes, length) = (start.link, start.bytes, start.length);
        Ok(Frame { at, link, bytes, length, place: start.place, is_loopback: start.is_loopback })
    }
}

impl Summary {
    const fn leave(&mut self, left: Left) {
        match left {
            Left::UnknownLink => self.unknown_link += 1,
            Left::WithoutTime => self.without_time += 1,
            Left::WithoutInterface => self.without_interface += 1,
        }
    }
}

/// The bytes of a frame without those that fill its block up.
fn kept(data: &[u8], captured: u32) -> &[u8] {
    let captured = usize::try_from(captured).unwrap_or(usize::MAX);
    data.get(..captured).unwrap_or(data)
}
