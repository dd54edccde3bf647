//! What each way of writing a capture means.

use std::io::Read as _;

use jiff::Timestamp;

use super::{HOST, PEER, SYN, tcp};
use crate::source::capture::{Place, Summary, read_from};

/// What a frame says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    at: String,
    length: u64,
    /// Bytes that are captured.
    bytes: usize,
    place: Place,
}

fn told(file: &[u8]) -> (Vec<Told>, Summary) {
    let mut told = Vec::new();
    let summary = read_from(file, |frame| {
        told.push(Told {
            at: frame.at.to_string(),
            length: frame.length,
            bytes: frame.bytes.len(),
            place: frame.place,
        });
    });
    (told, summary.unwrap())
}

/// The only frame of a file.
fn one(file: &[u8]) -> Told {
    let (mut told, summary) = told(file);
    assert!(summary.fault.is_none(), "{summary:?}");
    assert_eq!(told.len(), 1, "{summary:?}");
    told.remove(0)
}

fn ip() -> Vec<u8> {
    tcp([(PEER, 40_000), (HOST, 50_051)], SYN, 1, 0, 0)
}

fn ethernet() -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], ip().as_slice()].concat()
}

/// A pcap file of one frame.
fn pcap(link: u32, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let numbers = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link, SECONDS, 5, length, length];
    [numbers.map(u32::to_le_bytes).concat(), frame.to_vec()].concat()
}

const SECONDS: u32 = 1_790_000_000;

/// Writes pcapng in one order of bytes.
struct Ng {
    is_big: bool,
    file: Vec<u8>,
}

impl Ng {
    fn new(is_big: bool) -> Self {
        let mut ng = Self { is_big, file: Vec::new() };
        let version = if is_big { 0x0001_0000 } else { 1 };
        let body = [ng.number(0x1a2b_3c4d), ng.number(version), [0xff; 4], [0xff; 4]].concat();
        ng.block(0x0a0d_0d0a, &body);
        ng
    }

    const fn number(&self, number: u32) -> [u8; 4] {
        if self.is_big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// Two numbers of two bytes.
    fn halves(&self, [a, b]: [u16; 2]) -> [u8; 4] {
        let [a, b] = [a, b].map(u32::from);
        self.number(if self.is_big { a << 16 | b } else { b << 16 | a })
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.number(u32::try_from(body.len() + 12).unwrap());
        self.file.extend([&self.number(kind), length.as_slice(), &body, &length].concat());
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        let mut option = [&self.halves([code, length]), value].concat();
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn interface(&mut self, link: u16, options: &[u8]) {
        let body = [&self.halves([link, 0]), &self.number(262_144), options].concat();
        self.block(1, &body);
    }

    fn frame(&mut self, interface: u32, units: u64, frame: &[u8], options: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap();
        let [high, low] =
            [units >> 32, units & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let numbers = [interface, high, low, length, length].map(|number| self.number(number));
        let mut padded = frame.to_vec();
        padded.resize(padded.len().next_multiple_of(4), 0);
        self.block(6, &[numbers.as_flattened(), &padded, options].concat());
    }
}

#[test]
fn frame_check_sequence_is_not_counted() {
    let with = [ethernet(), vec![0; 4]].concat();
    assert_eq!(one(&pcap(1, &ethernet())).length, 54);
    // Two words of two bytes, and the bit that says so; without it they mean nothing.
    assert_eq!(one(&pcap(0x2400_0001, &with)).length, 54);
    assert_eq!(one(&pcap(0x2000_0001, &with)).length, 58);
    for (is_big, length) in [(false, 4), (true, 4), (false, 32), (true, 32)] {
        let mut ng = Ng::new(is_big);
        ng.interface(1, &ng.option(13, &[length]));
        ng.frame(0, 1, &with, &[]);
        assert_eq!(one(&ng.file).length, 54, "{length}");
    }
    for is_big in [false, true] {
        let mut ng = Ng::new(is_big);
        ng.interface(1, &[]);
        ng.frame(0, 1, &with, &ng.option(2, &ng.number(4 << 5 | 1)));
        assert_eq!(one(&ng.file).length, 54);
    }
}

#[test]
fn time_is_in_the_units_of_the_interface() {
    let seconds = u64::from(SECONDS);
    let cases: [(u8, u64, &str); 5] = [
        (6, seconds * 1_000_000 + 5, "2026-09-21T14:13:20.000005Z"),
        (9, seconds * 1_000_000_000 + 5, "2026-09-21T14:13:20.000000005Z"),
        (0, seconds, "2026-09-21T14:13:20Z"),
        (0x80 | 0x14, (seconds << 20) + (1 << 19), "2026-09-21T14:13:20.5Z"),
        (0x80 | 0x20, (seconds << 32) + (1 << 30), "2026-09-21T14:13:20.25Z"),
    ];
    for (resolution, units, expected) in cases {
        for is_big in [false, true] {
            let mut ng = Ng::new(is_big);
            ng.interface(1, &ng.option(9, &[resolution]));
            ng.frame(0, units, &ethernet(), &[]);
            assert_eq!(one(&ng.file).at, expected, "{resolution} {is_big}");
        }
    }
}

#[test]
fn offset_of_the_time_is_added() {
    for (is_big, offset) in [(false, 3600_i64), (true, 3600), (false, -3600), (true, -3600)] {
        let mut ng = Ng::new(is_big);
        let bytes = if is_big { offset.to_be_bytes() } else { offset.to_le_bytes() };
        ng.interface(1, &ng.option(14, &bytes));
        ng.frame(0, u64::from(SECONDS) * 1_000_000, &ethernet(), &[]);
        let at: Timestamp = one(&ng.file).at.parse().unwrap();
        assert_eq!(at.as_second(), i64::from(SECONDS) + offset);
    }
}

#[test]
fn old_packet_blocks_are_frames() {
    for is_big in [false, true] {
        let mut ng = Ng::new(is_big);
        ng.interface(1, &[]);
        let units = u64::from(SECONDS) * 1_000_000;
        let [high, low] =
            [units >> 32, units & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let numbers = [high, low, 54, 54].map(|number| ng.number(number));
        let body = [&ng.halves([0, 0xffff]), numbers.as_flattened(), &ethernet()].concat();
        ng.block(2, &body);
        let place = Place::Interface(0);
        let at = "2026-09-21T14:13:20Z".to_owned();
        assert_eq!(one(&ng.file), Told { at, length: 54, bytes: 54, place });
    }
}

#[test]
fn nanoseconds_and_either_order_of_bytes() {
    let file = pcap(1, &ethernet());
    let (numbers, frame) = file.split_at(40);
    for (magic, expected) in [
        (0xa1b2_3c4d_u32, "2026-09-21T14:13:20.000000005Z"),
        (0xa1b2_c3d4, "2026-09-21T14:13:20.000005Z"),
    ] {
        let own = [&magic.to_le_bytes(), &numbers[4..], frame].concat();
        let mut swapped = own.clone();
        // The version is two numbers of two bytes.
        let (version, rest) = ([0, 2, 0, 4], &mut swapped[..40]);
        for number in rest.chunks_mut(4) {
            number.reverse();
        }
        rest[4..8].copy_from_slice(&version);
        assert_eq!((one(&own).at, one(&swapped).at), (expected.to_owned(), expected.to_owned()));
    }
}

#[test]
fn what_cannot_be_judged_is_counted_by_why() {
    let mut ng = Ng::new(false);
    ng.interface(1, &[]);
    ng.interface(189, &[]);
    ng.block(3, &[&ng.number(54), ethernet().as_slice()].concat());
    ng.frame(1, 1, &ethernet(), &[]);
    ng.frame(7, 1, &ethernet(), &[]);
    let statistics = |ng: &mut Ng, interface, dropped: u64| {
        let numbers = [interface, 0, 0].map(|number| ng.number(number));
        let body = [numbers.as_flattened(), &ng.option(5, &dropped.to_le_bytes())].concat();
        ng.block(5, &body);
    };
    statistics(&mut ng, 0, 3);
    statistics(&mut ng, 0, 5);
    statistics(&mut ng, 1, 2);
    let (told, summary) = told(&ng.file);
    assert_eq!(told, []);
    let Summary { unknown_link, without_time, without_interface, not_captured, fault } = summary;
    assert_eq!((unknown_link, without_time, without_interface, not_captured), (1, 1, 1, 7));
    assert!(fault.is_none());
}

#[test]
fn tail_that_is_no_frame_ends_the_file() {
    let whole = pcap(1, &ethernet());
    let faults = [
        (vec![0; 100], "the file is damaged: it goes on with zeros"),
        (vec![0xff; 100], "the file is damaged: a frame is longer than any frame"),
        (vec![1; 9], "the file ends in the middle of a frame"),
    ];
    for (tail, expected) in faults {
        let (told, summary) = told(&[whole.as_slice(), &tail].concat());
        assert_eq!(told.len(), 1, "{expected}");
        assert_eq!(summary.fault.unwrap().to_string(), expected);
    }
    // A reader that gives little at a time.
    let mut frames = 0;
    let (first, second) = whole.split_at(60);
    read_from(first.chain(second), |_| frames += 1).unwrap();
    assert_eq!(frames, 1);
}

/// The headers of a device and a kind of frame, with a protocol.
fn cooked(kind: u8, device: u16, protocol: u16) -> [Vec<u8>; 2] {
    let [device, protocol] = [device, protocol].map(u16::to_be_bytes);
    let address = [0; 8];
    let first = [&[0, kind], device.as_slice(), &[0, 6], &address, &protocol].concat();
    let index = [0, 0, 0, 9];
    let second = [&protocol, [0, 0].as_slice(), &index, &device, &[kind, 6], &address].concat();
    [first, second]
}

#[test]
fn cooked_header_stands_for_the_one_on_the_wire() {
    const ETHER: u16 = 1;
    const NONE: u16 = 0xfffe;
    let tagged = [&[0, 5, 8, 0], ip().as_slice()].concat();
    let cases = [
        // Kind, device, protocol, what follows, length on the wire, bytes of IP.
        (0, ETHER, 0x0800, ip(), 54, 40),
        (4, ETHER, 0x0800, ip(), 54, 40),
        (4, ETHER, 0x8100, tagged, 58, 40),
        (4, NONE, 0x0800, ip(), 40, 40),
        (0, ETHER, 0x0806, vec![0x45; 28], 14 + 28, 1),
        // One for another machine is no packet of this host.
        (3, ETHER, 0x0800, ip(), 54, 1),
    ];
    for (kind, device, protocol, behind, length, bytes) in cases {
        for (header, link, place) in
            cooked(kind, device, protocol).iter().zip([113, 276]).map(|(header, link)| {
                (header, link, if link == 113 { Place::Any } else { Place::Interface(9) })
            })
        {
            let found = one(&pcap(link, &[header.as_slice(), &behind].concat()));
            let found = (found.length, found.bytes, found.place);
            assert_eq!(found, (length, bytes, place), "{kind} {device} {protocol:#x} {link}");
        }
    }
}
