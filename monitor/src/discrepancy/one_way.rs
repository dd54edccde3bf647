//! Datagrams that need no answer: whether they arrive, or at least leave.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Cause, Failure, evidence,
    reasons::{self, Meaning},
};
use crate::observe::{Drop, FlowId, Side, Tally, Transport};

/// How long after a datagram that was turned down others are not taken for delivered because nothing is
/// said of them: the kernel sends at most one ICMP error a second, and routers send fewer.
const ERROR_INTERVAL: SignedDuration = SignedDuration::from_secs(3);

/// How long after a datagram its ICMP error is waited for.
const ERROR_DELAY: SignedDuration = SignedDuration::from_secs(1);

/// When datagrams of each flow last got as far as this host can see.
#[derive(Debug, Default)]
pub(super) struct Deliveries(HashMap<FlowId, Delivery>);

#[derive(Debug, Default)]
struct Delivery {
    /// Datagrams that sockets of this host have got.
    arrived: u64,
    /// When the last one was sent, by the snapshot before.
    sent: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Deliveries {
    /// When a datagram last reached a socket of this host, or left for the peer and was not turned down.
    pub(super) fn follow(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        judged_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if flow.transport != Transport::Udp {
            return None;
        }
        let delivery = self.0.entry(*flow).or_default();
        match flow.side {
            Side::Server => delivery.arrive(tally, judged_until),
            Side::Client => delivery.leave(flow, tally, now),
        }
        delivery.last
    }

    /// Forgets a flow.
    pub(super) fn remove(&mut self, flow: &FlowId) {
        self.0.remove(flow);
    }
}

impl Delivery {
    /// What had arrived by then was judged by an earlier run.
    fn arrive(&mut self, tally: &Tally, judged_until: Option<Timestamp>) {
        // A full receive buffer drops them after the hook of the socket.
        let is_full = |drop: &&Drop| {
            drop.received
                && reasons::meaning(&drop.reason, true) == Meaning::Proof(Cause::ReceiveBufferFull)
        };
        let full: u64 = tally.dropped.iter().filter(is_full).map(|drop| drop.packets).sum();
        let arrived = tally.sockets.received.packets.saturating_sub(full);
        if arrived > self.arrived {
            self.arrived = arrived;
            let last = tally.wire.last_received.filter(|at| Some(*at) > judged_until);
            self.last = last.max(self.last);
        }
    }

    fn leave(&mut self, flow: &FlowId, tally: &Tally, now: Timestamp) {
        let last_sent = tally.wire.last_transmitted;
        let before = std::mem::replace(&mut self.sent, last_sent);
        // Of one that has just been sent, an error may still come.
        let sent = if last_sent.is_some_and(|at| now.duration_since(at) >= ERROR_DELAY) {
            last_sent
        } else {
            before
        };
        let (_, _, lost) = evidence::lost_datagrams(flow, tally);
        let is_fine =
            |at: &Timestamp| lost.is_none_or(|lost| at.duration_since(lost) > ERROR_INTERVAL);
        self.last = sent.filter(is_fine).max(self.last);
    }
}

/// Whether datagrams were delivered since they last failed.
pub(super) fn is_over(failure: &Failure, delivered: Option<Timestamp>) -> bool {
    delivered.is_some_and(|delivered| delivered > failure.last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::{IcmpErrors, IcmpKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn flow(side: Side) -> FlowId {
        let peer = "10.20.0.5".parse().unwrap();
        FlowId { service_port: 162, transport: Transport::Udp, side, loopback: false, peer }
    }

    fn drops(reason: &str, packets: u64, last: i64) -> Drop {
        Drop {
            at_device: false,
            netfilter: None,
            own: None,
            reason: Arc::from(reason),
            received: true,
            opening: false,
            datagram: true,
            packets,
            first: None,
            last: Some(at(last)),
            interface: None,
            port: 0,
        }
    }

    #[test]
    fn datagram_is_delivered_when_a_socket_has_it() {
        let mut deliveries = Deliveries::default();
        let mut tally = Tally::default();
        let mut follow =
            |tally: &Tally| deliveries.follow(&flow(Side::Server), tally, None, at(100));
        tally.wire.received.packets = 1;
        tally.wire.last_received = Some(at(10));
        tally.dropped = vec![drops("NO_SOCKET", 1, 10)];
        assert_eq!(follow(&tally), None);
        tally.wire.received.packets = 2;
        tally.wire.last_received = Some(at(20));
        tally.sockets.received.packets = 1;
        assert_eq!(follow(&tally), Some(at(20)));
        // It comes as far as the socket, which has no room.
        tally.wire.last_received = Some(at(30));
        tally.sockets.received.packets = 2;
        tally.dropped.push(drops("SOCKET_RCVBUFF", 1, 30));
        assert_eq!(follow(&tally), Some(at(20)));
        tally.wire.last_received = Some(at(40));
        tally.sockets.received.packets = 3;
        assert_eq!(follow(&tally), Some(at(40)));
    }

    #[test]
    fn datagram_has_left_when_nobody_turned_it_down() {
        let mut deliveries = Deliveries::default();
        let mut tally = Tally::default();
        let mut follow =
            |tally: &Tally, now| deliveries.follow(&flow(Side::Client), tally, None, at(now));
        assert_eq!(follow(&tally, 1), None);
        tally.wire.last_transmitted = Some(at(10));
        // An error may be on its way.
        assert_eq!(follow(&tally, 10), None);
        assert_eq!(follow(&tally, 11), Some(at(10)));
        // One every second: each is known by the next snapshot.
        tally.wire.last_transmitted = Some(at(12));
        assert_eq!(follow(&tally, 12), Some(at(10)));
        tally.wire.last_transmitted = Some(at(13));
        assert_eq!(follow(&tally, 13), Some(at(12)));
        tally.icmp = vec![IcmpErrors {
            kind: IcmpKind::PortUnreachable,
            received: true,
            packets: 1,
            first: Some(at(13)),
            last: Some(at(13)),
        }];
        // Errors are fewer than what they are about.
        for sent in 14..=16 {
            tally.wire.last_transmitted = Some(at(sent));
            assert_eq!(follow(&tally, sent + 1), Some(at(12)), "{sent}");
        }
        tally.wire.last_transmitted = Some(at(17));
        assert_eq!(follow(&tally, 18), Some(at(17)));
    }
}
