//! Counts that began afresh, added to those of before.

use super::{Attempts, Drop, Ended, Happened, IcmpErrors, Odd, Sockets, Tally, Wire, add};

impl Tally {
    /// What was counted in two runs: in this one, and then in the later one.
    #[must_use]
    pub fn then(mut self, later: Self) -> Self {
        let Self { wire, sockets, attempts, dropped, icmp, .. } = later;
        self.wire = self.wire.then(wire);
        self.sockets = self.sockets.then(sockets);
        self.attempts = self.attempts.then(attempts);
        merge(&mut self.dropped, dropped, Drop::is_alike, Drop::add);
        merge(&mut self.icmp, icmp, IcmpErrors::is_alike, IcmpErrors::add);
        merge(
            &mut self.outcomes,
            later.outcomes,
            |(one, _), (other, _)| one == other,
            |(_, earlier), (_, later)| earlier.add(later),
        );
        self.not_begun.add(later.not_begun);
        self.no_port.add(later.no_port);
        self.forbidden.add(later.forbidden);
        self.retransmitted.add(later.retransmitted);
        self
    }
}

/// Adds each of the later ones to the earlier one that it is like, or puts it beside them.
fn merge<T>(
    all: &mut Vec<T>,
    later: Vec<T>,
    is_alike: impl Fn(&T, &T) -> bool,
    add: impl Fn(&mut T, T),
) {
    for it in later {
        match all.iter_mut().find(|known| is_alike(known, &it)) {
            Some(known) => add(known, it),
            None => all.push(it),
        }
    }
}

impl Wire {
    fn then(mut self, later: Self) -> Self {
        add(&mut self.received, &later.received);
        add(&mut self.transmitted, &later.transmitted);
        Self {
            forwarded: self.forwarded + later.forwarded,
            last_received: self.last_received.max(later.last_received),
            last_transmitted: self.last_transmitted.max(later.last_transmitted),
            interface: later.interface.or(self.interface),
            ..self
        }
    }
}

impl Sockets {
    const fn then(mut self, later: Self) -> Self {
        add(&mut self.received, &later.received);
        add(&mut self.transmitted, &later.transmitted);
        self
    }
}

impl Attempts {
    /// Those that were open in the earlier run are followed no more.
    fn then(mut self, later: Self) -> Self {
        merge(
            &mut self.ended,
            later.ended,
            |(one, _), (other, _)| one == other,
            |(_, earlier), (_, later)| earlier.add(later),
        );
        let not_followed = self.odd.not_followed + later.odd.not_followed;
        let odd = Odd { not_followed, stray: later.odd.stray.or(self.odd.stray) };
        Self { ended: self.ended, open: later.open, odd }
    }
}

impl Ended {
    const fn add(&mut self, later: Self) {
        let (times, segments) = (self.times + later.times, self.segments + later.segments);
        *self = Self { times, segments, ..later };
    }
}

impl Happened {
    fn add(&mut self, later: Self) {
        self.times += later.times;
        self.last = later.last.or(self.last);
    }
}

impl Drop {
    fn is_alike(&self, other: &Self) -> bool {
        let kind = |it: &Self| (it.received, it.opening, it.datagram, it.at_device);
        kind(self) == kind(other) && self.reason == other.reason
    }

    fn add(&mut self, later: Self) {
        let (packets, first) = (self.packets + later.packets, self.first.or(later.first));
        *self = Self { packets, first, ..later };
    }
}

impl IcmpErrors {
    fn is_alike(&self, other: &Self) -> bool {
        (self.kind, self.received) == (other.kind, other.received)
    }

    fn add(&mut self, later: Self) {
        let (packets, first) = (self.packets + later.packets, self.first.or(later.first));
        *self = Self { packets, first, ..later };
    }
}
