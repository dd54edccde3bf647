//! The difference between the device and the sockets.

use crate::observe::Tally;

/// Packets that one layer of this host saw, and the next one did not. Both only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// They came in by a device, and reached no socket.
    pub received: u64,
    /// A socket sent them, and they left by no device.
    pub transmitted: u64,
}

/// The counts of both layers, as a packet passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passed {
    received: [u64; 2],
    transmitted: [u64; 2],
}

/// Compares the layers of one flow.
///
/// The first layer is that of the snapshot before, the second that of this one: what was on its way
/// has arrived by then. So the difference is never too large, and exact when the flow rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layers {
    before: Option<Passed>,
    /// What the layers differed by when the comparison began; `None` until that is known.
    at_first: Option<[u64; 2]>,
    pub(super) difference: Difference,
}

impl Layers {
    /// Of a flow that came while both layers were watched.
    pub(super) fn of_new_flow() -> Self {
        Self { at_first: Some([0; 2]), ..Self::default() }
    }

    /// One of the layers is not watched: what comes until it is cannot be compared.
    pub(super) const fn pause(&mut self) {
        self.before = None;
        self.at_first = None;
    }

    /// Takes in the counts of a snapshot.
    pub(super) fn advance(&mut self, tally: &Tally) {
        let Tally { wire, sockets, .. } = tally;
        let now = Passed {
            received: [wire.received.packets, sockets.received.packets],
            transmitted: [sockets.transmitted.packets, wire.transmitted.packets],
        };
        let Some(before) = self.before.replace(now) else {
            return;
        };
        let at_first = *self.at_first.get_or_insert_with(|| {
            [most(before.received, now.received), most(before.transmitted, now.transmitted)]
        });
        // What the host passes on reaches no socket.
        if wire.forwarded > 0 {
            return;
        }
        let [received, transmitted] = at_first;
        let received = least(before.received, now.received).saturating_sub(received);
        let transmitted = least(before.transmitted, now.transmitted).saturating_sub(transmitted);
        self.difference.received = self.difference.received.max(received);
        self.difference.transmitted = self.difference.transmitted.max(transmitted);
    }
}

const fn least(before: [u64; 2], now: [u64; 2]) -> u64 {
    before[0].saturating_sub(now[1])
}

const fn most(before: [u64; 2], now: [u64; 2]) -> u64 {
    now[0].saturating_sub(before[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(received: [u64; 2], transmitted: [u64; 2]) -> Tally {
        let mut tally = Tally::default();
        tally.wire.received.packets = received[0];
        tally.sockets.received.packets = received[1];
        tally.sockets.transmitted.packets = transmitted[0];
        tally.wire.transmitted.packets = transmitted[1];
        tally
    }

    fn after(mut layers: Layers, tallies: &[Tally]) -> (u64, u64) {
        for tally in tallies {
            layers.advance(tally);
        }
        (layers.difference.received, layers.difference.transmitted)
    }

    #[test]
    fn what_is_on_its_way_is_not_lost() {
        let busy = [tally([100, 90], [100, 90]), tally([200, 195], [200, 193])];
        assert_eq!(after(Layers::of_new_flow(), &busy), (0, 0));
    }

    #[test]
    fn exact_when_the_flow_rests() {
        let lossy = [tally([100, 90], [50, 40]), tally([110, 100], [57, 50])];
        let rests = [lossy[0].clone(), lossy[1].clone(), tally([110, 103], [57, 52])];
        assert_eq!(after(Layers::of_new_flow(), &lossy), (0, 0));
        assert_eq!(after(Layers::of_new_flow(), &rests), (7, 5));
    }

    #[test]
    fn never_falls_and_is_never_negative() {
        let counts = [
            tally([10, 4], [0, 0]),
            tally([10, 4], [0, 3]),
            tally([10, 10], [0, 3]),
            tally([10, 12], [0, 3]),
        ];
        assert_eq!(after(Layers::of_new_flow(), &counts), (6, 0));
    }

    #[test]
    fn what_was_there_before_is_left_out() {
        let old = [tally([100, 40], [9, 2]), tally([103, 41], [9, 2])];
        assert_eq!(after(Layers::default(), &old), (0, 0));
        let more =
            [old[0].clone(), old[1].clone(), tally([120, 50], [9, 2]), tally([120, 50], [9, 2])];
        // 70 − 63: what came between the first two readings may have been on its way.
        assert_eq!(after(Layers::default(), &more), (7, 0));
    }

    #[test]
    fn what_is_passed_on_is_not_compared() {
        let mut forwarded = tally([10, 0], [0, 10]);
        forwarded.wire.forwarded = 1;
        assert_eq!(after(Layers::of_new_flow(), &[forwarded.clone(), forwarded]), (0, 0));
    }
}
