//! Attempts to connect, each by itself: from its SYN until it is known what became of it.

use crate::{
    FlowKey,
    attribution::Heading,
    packet::{ACK, Bytes, FIN, Packet, RST, SYN, SYN_ACK},
};

/// What became of an attempt.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum AttemptEnd {
    /// Answered, and used: a byte of data passed, or the connection stayed open, or ended in good order.
    Completed = 0,
    /// Turned down by an RST of the service's end.
    Refused = 1,
    /// Not answered.
    Unanswered = 2,
    /// Answered, and its asker did not go on.
    HalfOpen = 3,
    /// Answered, and reset by its asker before a byte of data passed in either direction, as health checks
    /// and port scans do: it shows that the port answers, and nothing more.
    Probed = 4,
}

impl AttemptEnd {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Every end, in the order of its index.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Completed, Self::Refused, Self::Unanswered, Self::HalfOpen, Self::Probed];

    /// Decodes a byte, `None` for any other value.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Completed),
            1 => Some(Self::Refused),
            2 => Some(Self::Unanswered),
            3 => Some(Self::HalfOpen),
            4 => Some(Self::Probed),
            _ => None,
        }
    }

    /// The value of the label `end`, and the key in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::HalfOpen => "half-open",
            Self::Probed => "probed",
        }
    }
}

/// The key of the map of open handshakes: one connection, 48 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// The flow that it belongs to.
    pub flow: FlowKey,
    /// This host's address, as [`FlowKey::peer`] has the peer's.
    pub own: [u64; 2],
    /// The port that is not the service's (16), the rest zero.
    pub port: u64,
}

impl ConnectionKey {
    /// The asker's port.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the port")]
    pub const fn asker_port(&self) -> u16 {
        self.port as u16
    }
}

/// An open handshake.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// When its first SYN was seen: in jiffies.
    pub began: u64,
    /// When it was answered by a SYN-ACK: in jiffies, 0 for not yet. Not beside the other time that begins at 0:
    /// the compiler would clear both by a call, for which the stack of older kernels has no room.
    pub answered: u64,
    /// When its last SYN was seen: in jiffies.
    pub last: u64,
    /// When its asker went on after the answer: in jiffies, 0 for not yet.
    pub acknowledged: u64,
    /// The sequence number of its SYN, which tells one attempt from the next on the same ports.
    pub sequence: u32,
    /// Segments with SYN until now.
    pub segments: u32,
    /// Whether the asker has sent data: 0 or 1.
    pub has_spoken: u32,
    /// Index of the interface of its first SYN.
    pub interface: u32,
}

/// What the daemon asks a program to end.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The connection whose handshake is over.
    pub key: ConnectionKey,
    /// How, by the number of [`AttemptEnd`].
    pub end: u64,
}

/// What matters of a TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its asker sent it; else the service's end did.
    pub to_service: bool,
    /// The flags.
    pub flags: u8,
    /// The sequence number.
    pub sequence: u32,
    /// It carries data.
    pub has_data: bool,
}

/// What a segment does to an open handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It stays open.
    Open,
    /// It has ended.
    Ended(AttemptEnd),
    /// It has ended, and the segment begins another one on the same ports.
    Replaced(AttemptEnd),
}

impl Segment {
    /// That of a TCP packet with these flags. `None` where it is cut short.
    #[inline(always)]
    pub fn of<B: Bytes + ?Sized>(
        bytes: &B,
        packet: &Packet,
        flags: u8,
        heading: Heading,
    ) -> Option<Self> {
        let (sequence, has_data) = (packet.tcp_sequence(bytes), packet.has_data(bytes));
        let to_service = matches!(heading, Heading::ToService);
        Some(Self { to_service, flags, sequence: sequence?, has_data: has_data? })
    }

    /// Whether it asks for a connection.
    #[inline(always)]
    pub const fn is_opening(self) -> bool {
        self.flags & SYN_ACK == SYN
    }
}

impl Handshake {
    /// The handshake that a SYN begins.
    #[inline(always)]
    pub const fn begin(syn: Segment, interface: u32, now: u64) -> Self {
        Self {
            began: now,
            last: now,
            answered: 0,
            acknowledged: 0,
            sequence: syn.sequence,
            segments: 1,
            has_spoken: syn.has_data as u32,
            interface,
        }
    }

    /// Takes in a segment of the connection.
    ///
    /// An RST of the asker before any answer does not end its attempt: that is how it turns down what
    /// belongs to a connection it no longer knows.
    #[inline(always)]
    pub const fn follow(&mut self, segment: Segment, now: u64) -> Step {
        let Segment { to_service, flags, sequence, has_data } = segment;
        if flags & RST != 0 {
            return match (to_service, self.answered != 0) {
                (false, _) => Step::Ended(AttemptEnd::Refused),
                (true, true) if self.has_spoken == 0 => Step::Ended(AttemptEnd::Probed),
                (true, true) => Step::Ended(AttemptEnd::Completed),
                (true, false) => Step::Open,
            };
        }
        match (to_service, flags & SYN_ACK) {
            (true, SYN) if sequence != self.sequence => {
                return Step::Replaced(self.state());
            }
            (true, SYN) => {
                self.last = now;
                self.segments = self.segments.saturating_add(1);
            }
            (false, SYN_ACK) if self.answered == 0 => self.answered = now,
            (true, ACK) => {
                if self.answered == 0 {
                    self.answered = now;
                }
                if self.acknowledged == 0 {
                    self.acknowledged = now;
                }
                self.has_spoken |= has_data as u32;
                if self.has_spoken != 0 || flags & FIN != 0 {
                    return Step::Ended(AttemptEnd::Completed);
                }
            }
            (false, ACK) if self.acknowledged != 0 && (has_data || flags & FIN != 0) => {
                return Step::Ended(AttemptEnd::Completed);
            }
            _ => {}
        }
        Step::Open
    }

    /// When it ended in that way, as of now: one that was used without a word, when its use began.
    #[inline(always)]
    pub const fn ended_at(&self, end: AttemptEnd, now: u64) -> u64 {
        let is_used = matches!(end, AttemptEnd::Completed) && self.acknowledged != 0;
        if is_used { self.acknowledged } else { now }
    }

    /// What it is if nothing more comes.
    #[inline(always)]
    pub const fn state(&self) -> AttemptEnd {
        if self.acknowledged != 0 {
            AttemptEnd::Completed
        } else if self.answered != 0 {
            AttemptEnd::HalfOpen
        } else {
            AttemptEnd::Unanswered
        }
    }
}

/// What became of the attempts of a flow. Every number only grows.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Attempts that ended so, by [`AttemptEnd`].
    pub ended: [u64; AttemptEnd::COUNT],
    /// Segments with SYN that they had.
    pub segments: [u64; AttemptEnd::COUNT],
    /// When the last one ended: in jiffies, 0 for never.
    pub last: [u64; AttemptEnd::COUNT],
    /// When that one had begun: in jiffies, 0 for never.
    pub began: [u64; AttemptEnd::COUNT],
    /// Attempts that were not followed, since too many were open.
    pub not_followed: u64,
    /// When a SYN-ACK last came from another address of the service than was asked: in jiffies, 0 for
    /// never.
    pub stray: u64,
    /// That address.
    pub stray_address: [u64; 2],
    /// The asker's port in it.
    pub stray_port: u64,
}

impl AttemptCounts {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        ended: [0; AttemptEnd::COUNT],
        segments: [0; AttemptEnd::COUNT],
        last: [0; AttemptEnd::COUNT],
        began: [0; AttemptEnd::COUNT],
        not_followed: 0,
        stray: 0,
        stray_address: [0; 2],
        stray_port: 0,
    };
}

const _: () = {
    assert!(size_of::<ConnectionKey>() == 48 && align_of::<ConnectionKey>() == 8);
    assert!(size_of::<Handshake>() == 48 && align_of::<Handshake>() == 8);
    assert!(size_of::<AttemptCounts>() == 200 && align_of::<AttemptCounts>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    const SYN_OF_ASKER: Segment =
        Segment { to_service: true, flags: SYN, sequence: 7, has_data: false };

    /// What becomes of an attempt whose segments after the SYN are these: by whom, flags, data.
    fn end(segments: &[(bool, u8, bool)]) -> Step {
        let mut handshake = Handshake::begin(SYN_OF_ASKER, 1, 100);
        let mut last = Step::Open;
        for (at, &(to_service, flags, has_data)) in (101..).zip(segments) {
            assert_eq!(last, Step::Open, "it went on after its end");
            let segment = Segment { to_service, flags, sequence: 7, has_data };
            last = handshake.follow(segment, at);
        }
        if last == Step::Open { Step::Ended(handshake.state()) } else { last }
    }

    const ANSWER: (bool, u8, bool) = (false, SYN_ACK, false);
    const WENT_ON: (bool, u8, bool) = (true, ACK, false);

    #[test]
    fn an_attempt_ends_in_exactly_one_way() {
        use AttemptEnd::{Completed, HalfOpen, Probed, Refused, Unanswered};
        for (segments, expected) in [
            (&[] as &[_], Unanswered),
            (&[(true, SYN, false)], Unanswered),
            (&[(false, RST | ACK, false)], Refused),
            (&[ANSWER], HalfOpen),
            (&[ANSWER, (true, SYN, false)], HalfOpen),
            (&[ANSWER, WENT_ON], Completed),
            (&[ANSWER, (true, ACK, true)], Completed),
            (&[ANSWER, WENT_ON, (false, ACK, true)], Completed),
            (&[ANSWER, WENT_ON, (false, FIN | ACK, false)], Completed),
            (&[ANSWER, (true, RST, false)], Probed),
            (&[ANSWER, WENT_ON, (true, RST | ACK, false)], Probed),
            (&[ANSWER, WENT_ON, (true, FIN | ACK, false)], Completed),
            (&[ANSWER, WENT_ON, (false, RST, false)], Refused),
            // An asker that no longer knows the connection which the other end still has.
            (&[(false, ACK, false), (true, RST, false)], Unanswered),
            // The answer crossed no device that is watched.
            (&[(true, ACK, true)], Completed),
        ] {
            assert_eq!(end(segments), Step::Ended(expected), "{segments:?}");
        }
    }

    #[test]
    fn data_in_the_syn_is_use_once_it_is_answered() {
        let syn = Segment { has_data: true, ..SYN_OF_ASKER };
        let mut handshake = Handshake::begin(syn, 1, 100);
        let answer = Segment { to_service: false, flags: SYN_ACK, sequence: 1, has_data: false };
        assert_eq!(handshake.follow(answer, 101), Step::Open);
        let ack = Segment { to_service: true, flags: ACK, sequence: 8, has_data: false };
        assert_eq!(handshake.follow(ack, 102), Step::Ended(AttemptEnd::Completed));
    }

    #[test]
    fn a_new_sequence_number_is_another_attempt() {
        let mut handshake = Handshake::begin(SYN_OF_ASKER, 1, 100);
        assert_eq!(handshake.follow(SYN_OF_ASKER, 200), Step::Open);
        assert_eq!((handshake.began, handshake.last, handshake.segments), (100, 200, 2));
        let next = Segment { sequence: 8, ..SYN_OF_ASKER };
        assert_eq!(handshake.follow(next, 300), Step::Replaced(AttemptEnd::Unanswered));
    }

    #[test]
    fn number_and_order_agree() {
        for (number, end) in (0..).zip(AttemptEnd::ALL) {
            assert_eq!((end as u8, AttemptEnd::from_byte(number)), (number, Some(end)));
        }
        assert_eq!(AttemptEnd::from_byte(5), None);
    }
}
