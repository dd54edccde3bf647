//! Frames: of every header that the parser takes and some that it does not, whole and mutated.
//!
//! A seed gives the same frames everywhere.

use rand::{
    RngExt as _, SeedableRng as _,
    rngs::ChaCha8Rng,
    seq::{IndexedRandom as _, SliceRandom as _},
};

/// Documented TCP and UDP ports in the tests.
pub const TCP_PORTS: [u16; 4] = [111, 443, 50_051, 59_999];
/// The same for UDP.
pub const UDP_PORTS: [u16; 2] = [111, 6363];

/// The longest frame that is made.
pub const LONGEST: usize = 1514;

const EXTENSIONS: [u8; 8] = [0, 43, 44, 51, 60, 135, 139, 140];
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// An endless source of frames.
#[derive(Debug)]
pub struct Frames {
    random: ChaCha8Rng,
    before: Vec<u8>,
}

/// One frame, and what the kernel keeps of it beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The bytes. Without Ethernet header where [`Sent::is_bare`] says so.
    pub bytes: Vec<u8>,
    /// It begins with the IP header.
    pub is_bare: bool,
    /// Payload bytes of a full segment; 0 where it is not coalesced.
    pub segment_size: u32,
    /// How many segments it is; 0 where that is not known.
    pub segments: u32,
    /// A number for whoever has a choice to make.
    pub choice: u8,
}

impl Frames {
    /// The frames of a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), before: Vec::new() }
    }

    /// The next one.
    pub fn next_frame(&mut self) -> Sent {
        let is_bare = self.chance(0.2);
        let mut bytes = if self.chance(0.04) { self.noise(160) } else { self.whole(is_bare) };
        if self.chance(0.4) {
            for _ in 0..self.random.random_range(1..=3) {
                self.mutate(&mut bytes);
            }
        }
        bytes.truncate(LONGEST);
        self.before.clone_from(&bytes);
        let (segment_size, segments) = if self.chance(0.1) {
            (self.random.random_range(1..=1500), self.random.random_range(0..=45))
        } else {
            (0, 0)
        };
        Sent { bytes, is_bare, segment_size, segments, choice: self.random.random() }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.random).unwrap()
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.random.random_range(0..=most)];
        self.random.fill(&mut bytes);
        bytes
    }

    fn whole(&mut self, is_bare: bool) -> Vec<u8> {
        let six = self.chance(0.5);
        let packet = self.ip(six, 0);
        if is_bare {
            return packet;
        }
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let tags = self.one(&[0, 0, 0, 0, 1, 1, 2, 2, 3, 4]);
        for _ in 0..tags {
            bytes.extend(self.one(&TAGS).to_be_bytes());
            bytes.extend(self.random.random::<[u8; 2]>());
        }
        let kind = if six { 0x86dd } else { 0x0800 };
        // ARP, MACsec, LLC and whatever else.
        let other = [0x0806, 0x88e5, 60, self.random.random()];
        let kind: u16 = if self.chance(0.03) { self.one(&other) } else { kind };
        bytes.extend(kind.to_be_bytes());
        bytes.extend(packet);
        bytes
    }

    /// An IP packet; `depth` counts the errors that it is carried in.
    fn ip(&mut self, six: bool, depth: u8) -> Vec<u8> {
        let protocol = match self.random.random_range(0..100) {
            0..55 => 6,
            55..80 => 17,
            80..95 => {
                if six {
                    58
                } else {
                    1
                }
            }
            _ => self.one(&[0, 1, 4, 41, 47, 50, 51, 58, 59, 132, 255]),
        };
        let payload = match protocol {
            6 => self.tcp(),
            17 => self.udp(),
            1 | 58 if depth < 2 => self.icmp(six, depth),
            _ => self.noise(64),
        };
        if six { self.ipv6(protocol, &payload) } else { self.ipv4(protocol, &payload) }
    }

    fn ipv4(&mut self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let words = if self.chance(0.2) { self.random.random_range(0..=10_u8) } else { 0 };
        let length = 20 + usize::from(words) * 4 + payload.len();
        let mut bytes = vec![0x45 + words, 0];
        bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend([0, 7]);
        // Whole, do not fragment, first fragment, later fragments.
        let fragment =
            if self.chance(0.1) { [0x2000, 0x2001, 1, 0x1fff] } else { [0, 0x4000, 0, 0x8000] };
        bytes.extend(self.one::<u16>(&fragment).to_be_bytes());
        bytes.extend([64, protocol, 0, 0]);
        for _ in 0..2 {
            bytes.extend([10, 20, 0, self.random.random_range(1..=4)]);
        }
        bytes.extend(vec![1; usize::from(words) * 4]);
        bytes.extend(payload);
        bytes
    }

    fn ipv6(&mut self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let count = if self.chance(0.4) { self.random.random_range(0..=8) } else { 0 };
        let kinds: Vec<u8> = (0..count).map(|_| self.one(&EXTENSIONS)).chain([protocol]).collect();
        let mut body = Vec::new();
        for pair in kinds.windows(2) {
            let &[kind, next] = pair else { continue };
            body.extend(self.extension(kind, next));
        }
        body.extend(payload);
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend([kinds[0], 64]);
        for _ in 0..2 {
            bytes.extend([0xfd, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.push(self.random.random_range(1..=4));
        }
        bytes.extend(body);
        bytes
    }

    fn extension(&mut self, kind: u8, next: u8) -> Vec<u8> {
        const FRAGMENT: u8 = 44;
        const AUTHENTICATION: u8 = 51;
        if kind == FRAGMENT {
            // First or whole, mostly; the last three bits are no offset.
            let offset = self.one::<u16>(&[0, 1, 6, 7, 0, 1, 8, 0xfff9]);
            let [high, low] = offset.to_be_bytes();
            return vec![next, self.random.random(), high, low, 0, 0, 0, 9];
        }
        let units = if self.chance(0.7) { 0 } else { self.random.random_range(0..=3_u8) };
        let length = if kind == AUTHENTICATION {
            8 + usize::from(units) * 4
        } else {
            8 + usize::from(units) * 8
        };
        let mut bytes = vec![next, units];
        bytes.resize(length, 0);
        bytes
    }

    fn ports(&mut self, documented: &[u16]) -> Vec<u8> {
        let (service, client) = (self.one(documented), self.random.random_range(32_768..=32_771));
        let mut pair = match self.random.random_range(0..10) {
            0 => [self.random.random(), self.random.random()],
            1 => [service, self.one(documented)],
            _ => [client, service],
        };
        pair.shuffle(&mut self.random);
        pair.into_iter().flat_map(u16::to_be_bytes).collect()
    }

    fn tcp(&mut self) -> Vec<u8> {
        let mut bytes = self.ports(&TCP_PORTS);
        let flags = self.one(&[0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2]);
        let flags = if self.chance(0.1) { self.random.random() } else { flags };
        let words: u8 = if self.chance(0.2) { self.random.random_range(0..16) } else { 5 };
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, words << 4, flags, 255, 255, 0, 0, 0, 0]);
        bytes.extend(self.noise(80));
        bytes
    }

    fn udp(&mut self) -> Vec<u8> {
        let mut bytes = self.ports(&UDP_PORTS);
        let payload = self.noise(80);
        bytes.extend(u16::try_from(8 + payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        bytes
    }

    fn icmp(&mut self, six: bool, depth: u8) -> Vec<u8> {
        let kind = if six {
            self.one(&[1, 1, 2, 3, 128, 135])
        } else {
            self.one(&[3, 3, 3, 0, 8, 11, 13])
        };
        let code = self.random.random_range(0..=17);
        let mut bytes = vec![kind, code, 0, 0, 0, 0, 5, 0];
        let mut about = self.ip(six, depth + 1);
        if self.chance(0.5) {
            about.truncate(self.random.random_range(0..=about.len()));
        }
        bytes.extend(about);
        bytes
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.random.random());
        }
        // The headers are where it hurts.
        let reach = if self.chance(0.8) { bytes.len().min(96) } else { bytes.len() };
        let at = self.random.random_range(0..reach);
        match self.random.random_range(0..7) {
            0 => bytes[at] ^= 1 << self.random.random_range(0..8),
            1 => bytes[at] = self.random.random(),
            2 => {
                bytes[at] =
                    self.one(&[0, 1, 4, 6, 17, 44, 51, 58, 60, 0x40, 0x45, 0x4f, 0x60, 0x81, 0xff]);
            }
            3 => bytes.truncate(at),
            4 => bytes.insert(at, self.random.random()),
            5 => drop(bytes.remove(at)),
            _ => {
                // The end of the frame before.
                let from = self.random.random_range(0..=self.before.len());
                bytes.truncate(at);
                bytes.extend(&self.before[from..]);
            }
        }
    }
}
