//! Frames of one packet: where several devices are captured together, one that crosses a bridge and the
//! device below it is there twice, and counts once.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{
    Transport,
    packet::{self, Bytes as _, Link},
};

use super::{Frame, Place, interface::ethernet};

/// How far apart the frames of a packet are at most: a device can have a queue, and Linux sends a segment
/// again after 200 ms at the earliest.
const APART: SignedDuration = SignedDuration::from_millis(200);

/// Frames that are remembered for that time.
const MOST: usize = 1 << 17;

/// A packet up to this length is never cut into segments by a device.
const WHOLE: usize = 1500;

/// Which frames of a capture are copies of others, by their number.
#[derive(Debug, Default)]
pub struct Copies {
    skipped: Vec<u64>,
    /// By what stands in the packet.
    packets: HashMap<u64, Vec<Seen>>,
    /// By connection and number of the first byte: packets that a device further down may have cut.
    large: HashMap<u64, BTreeMap<u32, Large>>,
    /// What is remembered, in the order of the file.
    order: VecDeque<Remembered>,
}

/// Where something is remembered.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    at: Timestamp,
    digest: u64,
    /// Connection and first byte of a packet of more than one segment.
    large: Option<(u64, u32)>,
}

/// A packet.
#[derive(Debug)]
struct Seen {
    at: Timestamp,
    /// The frame that counts.
    frame: u64,
    length: u64,
    places: Vec<Place>,
}

/// A packet of more than one segment.
#[derive(Debug)]
struct Large {
    at: Timestamp,
    frame: u64,
    length: u32,
    place: Place,
    parts: Vec<Part>,
}

/// A frame with a part of a larger one.
#[derive(Debug)]
struct Part {
    frame: u64,
    start: u32,
    end: u32,
    is_elsewhere: bool,
}

/// What tells a packet from others.
struct Content {
    digest: u64,
    data: Option<Data>,
}

/// The data of a segment.
#[derive(Clone, Copy)]
struct Data {
    connection: u64,
    first: u32,
    length: u32,
    is_large: bool,
}

impl Copies {
    /// Whether a frame counts.
    pub fn counts(&self, frame: u64) -> bool {
        let word = usize::try_from(frame / 64).ok().and_then(|word| self.skipped.get(word));
        word.is_none_or(|word| word >> (frame % 64) & 1 == 0)
    }

    /// Takes in a frame; all have to come in their order.
    pub fn note(&mut self, number: u64, frame: &Frame<'_>) {
        if frame.place == Place::Single {
            return;
        }
        let Some(Content { digest, data }) = Content::of(frame) else { return };
        self.expire(|at, count| frame.at.duration_since(at) > APART || count > MOST);
        let near = |at: Timestamp| frame.at.duration_since(at).abs() <= APART;
        let seen = self.packets.entry(digest).or_default();
        let is_new = |places: &[Place]| frame.place == Place::Any || !places.contains(&frame.place);
        if let Some(seen) = seen.iter_mut().find(|seen| near(seen.at) && is_new(&seen.places)) {
            seen.places.push(frame.place);
            // Of two frames the longer one has a tag that the other has no more.
            let less = if frame.length > seen.length {
                seen.length = frame.length;
                std::mem::replace(&mut seen.frame, number)
            } else {
                number
            };
            if let Some(large) = data.and_then(|data| self.large_mut(data))
                && large.frame == less
            {
                large.frame = number;
            }
            return self.skip(less);
        }
        let places = vec![frame.place];
        seen.push(Seen { at: frame.at, frame: number, length: frame.length, places });
        let large = data.filter(|data| data.is_large).map(|data| (data.connection, data.first));
        self.order.push_back(Remembered { at: frame.at, digest, large });
        let Some(data) = data else { return };
        if let Some((first, whole)) = self.around(data)
            && near(whole.at)
            && (frame.place == Place::Any || whole.place != frame.place)
        {
            let start = data.first.wrapping_sub(first);
            let is_elsewhere = frame.place != Place::Any;
            let end = start + data.length;
            whole.parts.push(Part { frame: number, start, end, is_elsewhere });
        } else if data.is_large {
            let (at, place, length) = (frame.at, frame.place, data.length);
            let large = Large { at, frame: number, length, place, parts: Vec::new() };
            let of_connection = self.large.entry(data.connection).or_default();
            if let Some(before) = of_connection.insert(data.first, large) {
                self.conclude(before);
            }
        }
    }

    /// All frames are known: nothing is waited for.
    pub fn finish(&mut self) {
        self.expire(|_, _| true);
    }

    fn skip(&mut self, frame: u64) {
        let Ok(word) = usize::try_from(frame / 64) else { return };
        if self.skipped.len() <= word {
            self.skipped.resize(word + 1, 0);
        }
        if let Some(word) = self.skipped.get_mut(word) {
            *word |= 1 << (frame % 64);
        }
    }

    fn large_mut(&mut self, data: Data) -> Option<&mut Large> {
        self.large.get_mut(&data.connection)?.get_mut(&data.first)
    }

    /// The larger packet whose part some data is, and its first byte.
    fn around(&mut self, data: Data) -> Option<(u32, &mut Large)> {
        let of_connection = self.large.get_mut(&data.connection)?;
        let (first, whole) = of_connection.range_mut(..=data.first).next_back()?;
        let end = (data.first - first).checked_add(data.length)?;
        (end <= whole.length && data.length < whole.length).then_some((*first, whole))
    }

    fn expire(&mut self, is_over: impl Fn(Timestamp, usize) -> bool) {
        while let Some(&Remembered { at, digest, large }) = self.order.front()
            && is_over(at, self.order.len())
        {
            self.order.pop_front();
            if let Some(seen) = self.packets.get_mut(&digest) {
                if !seen.is_empty() {
                    seen.remove(0);
                }
                if seen.is_empty() {
                    self.packets.remove(&digest);
                }
            }
            let Some((connection, first)) = large else { continue };
            let Some(of_connection) = self.large.get_mut(&connection) else { continue };
            let gone = of_connection.remove(&first);
            if of_connection.is_empty() {
                self.large.remove(&connection);
            }
            if let Some(large) = gone {
                self.conclude(large);
            }
        }
    }

    /// Where all parts of a packet were seen, they are what was on the wire; where some are missing, the
    /// packet counts in place of them.
    fn conclude(&mut self, mut large: Large) {
        large.parts.sort_by_key(|part| part.start);
        let until = large
            .parts
            .iter()
            .fold(0, |until, part| if part.start <= until { part.end.max(until) } else { until });
        if until == large.length {
            return self.skip(large.frame);
        }
        for part in large.parts.iter().filter(|part| part.is_elsewhere) {
            self.skip(part.frame);
        }
    }
}

impl Content {
    /// That of an IP packet. Devices fill in checksums, mark packets and take tags off.
    fn of(frame: &Frame<'_>) -> Option<Self> {
        /// Bytes behind the IP header that are looked at: those of the TCP header with usual options.
        const BEHIND: usize = 40;

        let bytes = frame.bytes;
        let at = match frame.link {
            Link::Ethernet => ethernet(bytes)?,
            Link::Ip => 0,
        };
        let bytes = bytes.get(at..)?;
        let located = packet::locate(bytes, Link::Ip).ok();
        let (header, blank): (usize, &[usize]) = match bytes.first()? >> 4 {
            4 => (usize::from(bytes.first()? & 0xf) * 4, &[1, 10, 11]),
            6 => (40, &[0, 1, 2, 3]),
            _ => return None,
        };
        let transport = located.map_or(header, |packet| packet.transport_header);
        let checksum = match located.map(|packet| packet.transport) {
            Some(Transport::Tcp) => 16,
            Some(Transport::Udp) => 6,
            None => 2,
        };
        let blank = |at: usize| blank.contains(&at) || at.wrapping_sub(transport + checksum) < 2;
        let mut digest = DefaultHasher::new();
        for (at, byte) in bytes.iter().enumerate().take(transport + BEHIND) {
            digest.write_u8(if blank(at) { 0 } else { *byte });
        }
        let data = located.filter(|packet| packet.transport == Transport::Tcp).and_then(|packet| {
            let whole = match packet.version {
                packet::Version::V4 => usize::from(bytes.number(2)?),
                packet::Version::V6 => 40 + usize::from(bytes.number(4)?),
            };
            let length = u32::try_from(whole.checked_sub(packet.headers(bytes)?)?).ok()?;
            let mut connection = DefaultHasher::new();
            bytes.get(if header == 40 { 8..40 } else { 12..20 })?.hash(&mut connection);
            connection.write_u32(bytes.long_number(transport)?);
            Some(Data {
                connection: connection.finish(),
                first: bytes.long_number(transport + 4)?,
                length,
                is_large: whole > WHOLE,
            })
        });
        Some(Self { digest: digest.finish(), data: data.filter(|data| data.length > 0) })
    }
}
