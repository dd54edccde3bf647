//! How many handshakes are open: an array that is looked at without a lookup in a map.

use crate::FlowKey;

/// Slots in which open handshakes are counted by connection: where a slot says none, a segment that opens
/// nothing is looked at no further.
pub const OPEN_SLOTS: usize = 16 * 1024;
/// Slots in which they are counted by flow, so that one flow cannot take the room of all.
pub const CROWD_SLOTS: usize = 1024;

/// Handshakes that can be open in the slot of a flow.
pub const CROWD_LIMIT: u64 = 1024;

/// How many handshakes are open, by the hash of what they belong to.
#[repr(C)]
#[derive(Debug)]
pub struct OpenHandshakes {
    /// By connection.
    pub connections: [u64; OPEN_SLOTS],
    /// By flow.
    pub flows: [u64; CROWD_SLOTS],
}

#[expect(clippy::large_stack_arrays, reason = "a global of the programs, never on a stack")]
impl OpenHandshakes {
    /// None.
    pub const ZERO: Self = Self { connections: [0; OPEN_SLOTS], flows: [0; CROWD_SLOTS] };
}

/// The slot of a connection: ports differ most between those that are open at the same time.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the highest bits are the slot")]
pub const fn connection_slot(flow: &FlowKey, port: u16) -> usize {
    let mixed = (flow.peer[1] ^ flow.service ^ (port as u64) << 40).wrapping_mul(MIXER);
    (mixed >> (64 - OPEN_SLOTS.trailing_zeros())) as usize & (OPEN_SLOTS - 1)
}

/// The slot of a flow.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the highest bits are the slot")]
pub const fn flow_slot(flow: &FlowKey) -> usize {
    let mixed = (flow.peer[0].rotate_left(32) ^ flow.peer[1] ^ flow.service).wrapping_mul(MIXER);
    (mixed >> (64 - CROWD_SLOTS.trailing_zeros())) as usize & (CROWD_SLOTS - 1)
}

/// An odd number without a pattern: 2⁶⁴ divided by the golden ratio.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(OPEN_SLOTS.is_power_of_two() && CROWD_SLOTS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_spread() {
        let flow = FlowKey { peer: [0, 0x0100_140a_ffff_0000], service: 0x0106_c383 };
        let mut seen = std::collections::BTreeSet::new();
        for port in 32768..33768 {
            seen.insert(connection_slot(&flow, port));
        }
        assert!(seen.len() > 900, "{}", seen.len());
        assert!(flow_slot(&flow) < CROWD_SLOTS);
    }
}
