//! Rare events of a flow, each with how often and when.

use crate::{FlowKey, icmp::IcmpKind};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An ICMP error about a packet of the flow crossed a device.
    Icmp {
        /// What it says.
        kind: IcmpKind,
        /// This host received it; else it sent it.
        received: bool,
    },
    /// A program of this host asked for a connection.
    Attempt,
    /// No local port was left for one.
    NoPort,
    /// A program at the cgroup of whoever asked for one forbids it.
    Forbidden,
}

/// The key of the event map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKey {
    /// The flow.
    pub flow: FlowKey,
    /// From the lowest bit: of an ICMP error the kind (8) and whether it was received (1), else zero;
    /// then what it is (8): an ICMP error, an attempt, no port, a forbidden attempt.
    pub what: u64,
}

const ATTEMPT: u64 = 1 << 16;
const NO_PORT: u64 = 2 << 16;
const FORBIDDEN: u64 = 3 << 16;

impl EventKey {
    /// A key for an event.
    #[inline(always)]
    pub const fn new(flow: FlowKey, event: Event) -> Self {
        let what = match event {
            Event::Icmp { kind, received } => kind as u64 | (received as u64) << 8,
            Event::Attempt => ATTEMPT,
            Event::NoPort => NO_PORT,
            Event::Forbidden => FORBIDDEN,
        };
        Self { flow, what }
    }

    /// The event, `None` where the bits stand for no event.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are what is meant")]
    pub const fn event(&self) -> Option<Event> {
        match (self.what, IcmpKind::from_byte(self.what as u8)) {
            (ATTEMPT, _) => Some(Event::Attempt),
            (NO_PORT, _) => Some(Event::NoPort),
            (FORBIDDEN, _) => Some(Event::Forbidden),
            (0..ATTEMPT, Some(kind)) => {
                Some(Event::Icmp { kind, received: self.what >> 8 & 1 != 0 })
            }
            _ => None,
        }
    }
}

/// The value of the event map, one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCounts {
    /// How often.
    pub times: u64,
    /// When first: in jiffies, 0 for never.
    pub first: u64,
    /// When last: in jiffies, 0 for never.
    pub last: u64,
}

impl EventCounts {
    /// Never.
    pub const ZERO: Self = Self { times: 0, first: 0, last: 0 };
}

const _: () = {
    assert!(size_of::<EventKey>() == 32 && align_of::<EventKey>() == 8);
    assert!(size_of::<EventCounts>() == 24 && align_of::<EventCounts>() == 8);
};

#[cfg(test)]
mod tests {
    use super::{Event, EventKey};
    use crate::{FlowKey, icmp::IcmpKind};

    #[test]
    fn events_come_back_as_they_went_in() {
        let flow = FlowKey { peer: [1, 2], service: 3 };
        let icmp = |kind| [true, false].map(|received| Event::Icmp { kind, received });
        let attempts = [Event::Attempt, Event::NoPort, Event::Forbidden];
        for event in IcmpKind::ALL.into_iter().flat_map(icmp).chain(attempts) {
            assert_eq!(EventKey::new(flow, event).event(), Some(event));
        }
        assert_eq!(EventKey { flow, what: 4 }.event(), None);
    }
}
