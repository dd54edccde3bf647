//! Each packet counts once, however many devices it crosses.

use super::{ACK, HOST, PEER, SYN, frame, tcp};
use crate::source::capture::{Copies, Frame, Place};

const BELOW: Place = Place::Interface(2);
const ABOVE: Place = Place::Interface(5);
const WAY: [([u8; 4], u16); 2] = [(HOST, 50_051), (PEER, 40_000)];

/// The numbers of the frames that count.
fn counted(frames: &[Frame<'_>]) -> Vec<u64> {
    let mut copies = Copies::default();
    for (number, frame) in (0..).zip(frames) {
        copies.note(number, frame);
    }
    copies.finish();
    (0..frames.len() as u64).filter(|number| copies.counts(*number)).collect()
}

#[test]
fn frame_at_another_device_is_a_copy() {
    let syn = tcp(WAY, SYN, 1, 0, 0);
    assert_eq!(counted(&[frame(&syn, 0, BELOW), frame(&syn, 0, ABOVE)]), [0]);
    assert_eq!(counted(&[frame(&syn, 0, ABOVE), frame(&syn, 150, BELOW)]), [0]);
    // Four devices on one another.
    let places = (0..4).map(Place::Interface);
    let frames: Vec<_> = places.map(|place| frame(&syn, 0, place)).collect();
    assert_eq!(counted(&frames), [0]);
}

#[test]
fn what_is_sent_again_is_no_copy() {
    let syn = tcp(WAY, SYN, 1, 0, 0);
    // At the same device, or later than any device takes.
    assert_eq!(counted(&[frame(&syn, 0, BELOW), frame(&syn, 1, BELOW)]), [0, 1]);
    assert_eq!(counted(&[frame(&syn, 0, BELOW), frame(&syn, 1000, ABOVE)]), [0, 1]);
    assert_eq!(counted(&[frame(&syn, 0, Place::Any), frame(&syn, 250, Place::Any)]), [0, 1]);
    assert_eq!(counted(&[frame(&syn, 0, Place::Single), frame(&syn, 0, Place::Single)]), [0, 1]);
    // Twice at both: two packets.
    let again = [
        frame(&syn, 0, BELOW),
        frame(&syn, 0, ABOVE),
        frame(&syn, 9, BELOW),
        frame(&syn, 9, ABOVE),
    ];
    assert_eq!(counted(&again), [0, 2]);
    // One with a number of its own is another packet, wherever it is seen.
    let other = tcp(WAY, SYN, 2, 0, 0);
    assert_eq!(counted(&[frame(&syn, 0, Place::Any), frame(&other, 0, Place::Any)]), [0, 1]);
}

#[test]
fn device_that_is_not_named_can_be_another() {
    let syn = tcp(WAY, SYN, 1, 0, 0);
    assert_eq!(counted(&[frame(&syn, 0, Place::Any), frame(&syn, 0, Place::Any)]), [0]);
}

#[test]
fn one_with_the_tag_counts() {
    let syn = tcp(WAY, SYN, 1, 0, 0);
    let plain = frame(&syn, 0, ABOVE);
    let tagged = Frame { length: plain.length + 4, place: BELOW, ..plain };
    assert_eq!(counted(&[plain, tagged]), [1]);
    assert_eq!(counted(&[tagged, plain]), [0]);
}

#[test]
fn checksum_and_mark_that_a_device_fills_in_make_no_other_packet() {
    let data = tcp(WAY, ACK, 1, 0, 100);
    let mut filled = data.clone();
    (filled[1], filled[10], filled[36], filled[37]) = (0xb8, 1, 2, 3);
    assert_eq!(counted(&[frame(&data, 0, ABOVE), frame(&filled, 0, BELOW)]), [0]);
    filled[35] ^= 1;
    assert_eq!(counted(&[frame(&data, 0, ABOVE), frame(&filled, 0, BELOW)]), [0, 1]);
}

#[test]
fn segments_count_where_a_device_below_cuts_them() {
    let whole = tcp(WAY, ACK, 1, 1000, 4000);
    let parts: Vec<_> =
        [(1000, 1448), (2448, 1448), (3896, 1104)].map(|(at, l)| tcp(WAY, ACK, 9, at, l)).into();
    for (above, below) in [(ABOVE, BELOW), (Place::Any, Place::Any)] {
        let mut frames = vec![frame(&whole, 0, above)];
        frames.extend(parts.iter().map(|part| frame(part, 1, below)));
        assert_eq!(counted(&frames), [1, 2, 3]);
        // A device in between that cuts nothing.
        frames.insert(
            1,
            frame(&whole, 0, if above == Place::Any { above } else { Place::Interface(7) }),
        );
        assert_eq!(counted(&frames), [2, 3, 4]);
    }
    // One is missing: what is not cut is all that shows all of it.
    let some = [frame(&whole, 0, ABOVE), frame(&parts[0], 1, BELOW), frame(&parts[2], 1, BELOW)];
    assert_eq!(counted(&some), [0]);
    // Where devices are not named, a part can be one that is sent again.
    let some = some.map(|frame| Frame { place: Place::Any, ..frame });
    assert_eq!(counted(&some), [0, 1, 2]);
    // Nothing of another device.
    assert_eq!(counted(&[frame(&whole, 0, BELOW), frame(&parts[0], 1, BELOW)]), [0, 1]);
}
