//! How many connections there are at once, in all and of each machine.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Connections at once.
const MOST: usize = 64;
/// Connections of one machine at once, so that none keeps the others out.
const MOST_OF_ONE: usize = 32;

/// The connections that there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    machine: IpAddr,
}

impl Slots {
    /// A place for a connection from an address, if there is one.
    pub(super) fn take(&self, from: IpAddr) -> Option<Slot> {
        let machine = machine(from);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = taken.get(&machine).copied().unwrap_or(0);
        if mine >= MOST_OF_ONE || taken.values().sum::<usize>() >= MOST {
            return None;
        }
        taken.insert(machine, mine + 1);
        Some(Slot { slots: self.clone(), machine })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = taken.get_mut(&self.machine) {
            *mine -= 1;
            if *mine == 0 {
                taken.remove(&self.machine);
            }
        }
    }
}

/// A machine has an IPv4 address, or a network of IPv6 addresses.
fn machine(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &Slots, address: &str) -> Option<Slot> {
        slots.take(address.parse().unwrap())
    }

    #[test]
    fn one_machine_leaves_room_for_others() {
        let slots = Slots::default();
        let mut mine: Vec<Slot> =
            (0..40).filter_map(|n| take(&slots, &format!("2001:db8::{n:x}"))).collect();
        assert_eq!(mine.len(), MOST_OF_ONE);
        let mapped: Vec<Slot> = (0..16).filter_map(|_| take(&slots, "::ffff:192.0.2.1")).collect();
        let others: Vec<Slot> = (0..40).filter_map(|_| take(&slots, "192.0.2.1")).collect();
        assert_eq!((mapped.len(), others.len()), (16, 16));
        assert!(take(&slots, "192.0.2.2").is_none());
        mine.pop();
        assert!(take(&slots, "192.0.2.2").is_some());
        drop((mine, mapped, others));
        assert!(slots.0.lock().unwrap().is_empty());
    }
}
