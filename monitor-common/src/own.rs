//! The addresses of this host, in the shape in which the programs look one up: without a call.

use crate::FlowKey;

/// A set of addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddresses {
    /// How addresses are hashed; 0 where the table is not in use, and every address counts as the host's.
    pub mixer: u64,
    /// Changes with every change of the table.
    pub epoch: u64,
    /// The addresses as [`FlowKey::peer`] has them; zeros where there is none.
    pub buckets: [[[u64; 2]; Self::BUCKET]; Self::BUCKETS],
}

impl OwnAddresses {
    /// Buckets of the table.
    pub const BUCKETS: usize = 256;
    /// Addresses of a bucket.
    pub const BUCKET: usize = 4;

    /// A table that is not in use.
    pub const UNUSED: Self =
        Self { mixer: 0, epoch: 0, buckets: [[[0; 2]; Self::BUCKET]; Self::BUCKETS] };

    /// The bucket of an address.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the highest bits are the bucket")]
    pub const fn bucket(mixer: u64, address: [u64; 2]) -> usize {
        let mixed = (address[0].rotate_left(23) ^ address[1]).wrapping_mul(mixer);
        (mixed >> (64 - Self::BUCKETS.trailing_zeros())) as usize & (Self::BUCKETS - 1)
    }

    /// What stands for an address in [`FlowCounts::own`](crate::FlowCounts::own), as long as the table does not
    /// change. Two IPv4 addresses never have the same.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the highest bits are the token")]
    pub const fn token(epoch: u64, address: [u64; 2]) -> u32 {
        /// Odd numbers without a pattern.
        const MIXERS: [u64; 2] = [0xd6e8_feb8_6659_fd93, 0x9e37_79b9_7f4a_7c15];

        let [first, second] = address;
        let mixed = (first.wrapping_mul(MIXERS[0]) ^ second).wrapping_mul(MIXERS[1]);
        (mixed >> 32) as u32 ^ epoch as u32
    }

    /// Fills the table with addresses, in network byte order and IPv4 as `::ffff:a.b.c.d`. It is not in use
    /// afterwards if there are more than fit into it.
    pub fn fill(&mut self, addresses: impl Iterator<Item = [u8; 16]> + Clone, epoch: u64) {
        /// Tries with another hash, until no bucket overflows.
        const TRIES: u64 = 256;

        self.epoch = epoch;
        self.mixer = (0..TRIES)
            .map(|attempt| 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * attempt + 1))
            .find(|mixer| self.takes(addresses.clone(), *mixer))
            .unwrap_or(0);
    }

    fn takes(&mut self, mut addresses: impl Iterator<Item = [u8; 16]>, mixer: u64) -> bool {
        self.buckets.as_flattened_mut().fill([0; 2]);
        addresses.all(|octets| {
            let address = FlowKey::peer_words(octets);
            let bucket = self.buckets.get_mut(Self::bucket(mixer, address));
            let is_free = |held: &&mut [u64; 2]| **held == address || **held == [0; 2];
            let place = bucket.and_then(|bucket| bucket.iter_mut().find(is_free));
            place.map(|place| *place = address).is_some()
        })
    }

    /// Whether an address is one of them.
    pub fn contains(&self, octets: [u8; 16]) -> bool {
        let address = FlowKey::peer_words(octets);
        self.mixer == 0
            || self
                .buckets
                .get(Self::bucket(self.mixer, address))
                .is_some_and(|bucket| bucket.contains(&address))
    }
}

const _: () =
    assert!(size_of::<OwnAddresses>() == 16 + OwnAddresses::BUCKETS * OwnAddresses::BUCKET * 16);

#[cfg(test)]
mod tests {
    use std::boxed::Box;

    use super::OwnAddresses;

    fn address(number: u16) -> [u8; 16] {
        let [a, b] = number.to_be_bytes();
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 20, a, b]
    }

    fn table(count: u16) -> Box<OwnAddresses> {
        let mut table = Box::new(OwnAddresses::UNUSED);
        table.fill((0..count).map(address), 1);
        table
    }

    #[test]
    fn holds_what_it_was_given_and_nothing_else() {
        for count in [0, 1, 16, 128, 300] {
            let table = table(count);
            assert_ne!(table.mixer, 0, "{count} addresses fit");
            assert!((0..count).all(|own| table.contains(address(own))));
            assert!((count..count + 1000).all(|other| !table.contains(address(other))));
        }
    }

    #[test]
    fn too_many_addresses_are_all_the_hosts() {
        let table = table(4000);
        assert_eq!((table.mixer, table.epoch), (0, 1));
        assert!(table.contains(address(5000)));
    }
}
