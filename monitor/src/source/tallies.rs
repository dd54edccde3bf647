//! From what the maps have to the flows of a snapshot.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{
    AttemptCounts, ConnectionCounts, ConnectionKey, DropCounts, DropKey, Event, EventCounts,
    EventKey, FlowCounts, FlowKey, Handshake,
};

use super::explained::Explained;
use crate::{
    discrepancy::ANSWER_GRACE,
    kernel::{Ages, Attachments},
    observe::{
        AttemptEnd, Drop, Ended, FlowId, Flows, Happened, IcmpErrors, Odd, OpenAttempt, Outcome,
        Side, Sockets, StrayAnswer, Transport, What, Wire,
    },
};

/// Takes the maps in, one entry after the other.
pub(super) struct Tallies<'a> {
    flows: Flows,
    /// Attempts of this host, begun or not.
    asked: HashMap<FlowId, Happened>,
    attachments: &'a Attachments,
    ages: Ages,
    now: Timestamp,
}

impl<'a> Tallies<'a> {
    /// Nothing yet.
    pub(super) fn new(attachments: &'a Attachments, ages: Ages, now: Timestamp) -> Self {
        Self { flows: Flows::default(), asked: HashMap::new(), attachments, ages, now }
    }

    /// What was seen of a flow on the wire.
    pub(super) fn wire(&mut self, key: &FlowKey, counts: &FlowCounts) {
        if let Some(flow) = flow_id(key) {
            self.flows.add_wire(flow, wire(counts, self.attachments, self.ages, self.now));
        }
    }

    /// What its sockets got and sent.
    pub(super) fn sockets(&mut self, key: &FlowKey, counts: &FlowCounts) {
        if let Some(flow) = flow_id(key) {
            let FlowCounts { received, transmitted, .. } = *counts;
            self.flows.add_sockets(flow, Sockets { received, transmitted });
        }
    }

    /// What was dropped of it for one reason.
    pub(super) fn drop(&mut self, key: &DropKey, counts: &DropCounts, explained: &Explained) {
        let Some(flow) = flow_id(&key.flow) else { return };
        let drop = Drop {
            reason: explained.reason(key),
            received: key.received(),
            opening: key.opening(),
            // Answers are only placed where a request was.
            datagram: flow.transport == Transport::Udp
                && key.received() == (flow.side == Side::Server),
            packets: counts.packets,
            first: self.at(counts.first),
            last: self.at(counts.last),
            interface: self.attachments.name(counts.interface),
            port: counts.port,
            at_device: key.at_device(),
            own: (counts.own != [0; 2]).then(|| address(counts.own)),
            netfilter: explained.netfilter(key),
        };
        self.flows.add_drop(flow, drop);
    }

    /// ICMP errors, or attempts of this host.
    pub(super) fn event(&mut self, key: &EventKey, counts: &EventCounts) {
        let (Some(flow), Some(event)) = (flow_id(&key.flow), key.event()) else { return };
        let (times, first, last) = (counts.times, self.at(counts.first), self.at(counts.last));
        match event {
            Event::Icmp { kind, received } => {
                let errors = IcmpErrors { kind, received, packets: times, first, last };
                self.flows.add_icmp(flow, errors);
            }
            Event::Attempt => _ = self.asked.insert(flow, Happened { times, last }),
            Event::Forbidden => {
                self.flows.add_happened(flow, What::Forbidden, Happened { times, last });
            }
            Event::NoPort => self.flows.add_happened(flow, What::NoPort, Happened { times, last }),
        }
    }

    /// What became of its connections. Read after the attempts, so that what has begun is among them, or
    /// more.
    pub(super) fn connections(&mut self, key: &FlowKey, counts: &ConnectionCounts) {
        let Some(flow) = flow_id(key) else { return };
        let seen = counts.outcomes.into_iter().zip(counts.last);
        for (outcome, (times, last)) in Outcome::ALL.into_iter().zip(seen) {
            let last = self.at(last);
            self.flows.add_happened(flow, What::Outcome(outcome), Happened { times, last });
        }
        let again =
            Happened { times: counts.retransmitted, last: self.at(counts.last_retransmitted) };
        self.flows.add_happened(flow, What::Retransmitted, again);
        if let Some(asked) = self.asked.get_mut(&flow) {
            asked.times = asked.times.saturating_sub(counts.begun);
        }
    }

    /// An attempt that is open; how it ends, where no packet ends it and its time is over.
    pub(super) fn open_attempt(
        &mut self,
        key: &ConnectionKey,
        handshake: &Handshake,
    ) -> Option<AttemptEnd> {
        let flow = flow_id(&key.flow)?;
        let now = self.now;
        let began = self.at(handshake.began).unwrap_or(now);
        let attempt = OpenAttempt {
            own: address(key.own),
            port: key.asker_port(),
            began,
            last: self.at(handshake.last).unwrap_or(began),
            segments: handshake.segments.into(),
            answered: self.at(handshake.answered),
            acknowledged: self.at(handshake.acknowledged),
        };
        if is_over(&attempt, now) {
            return Some(handshake.state());
        }
        self.flows.add_open(flow, attempt);
        None
    }

    /// What became of the attempts of a flow.
    pub(super) fn ended_attempts(&mut self, key: &FlowKey, counts: &AttemptCounts) {
        let Some(flow) = flow_id(key) else { return };
        for end in AttemptEnd::ALL {
            let index = end as usize;
            let ended = Ended {
                times: counts.ended[index],
                segments: counts.segments[index],
                began: self.at(counts.began[index]),
                last: self.at(counts.last[index]),
            };
            self.flows.add_ended(flow, end, ended);
        }
        let stray = self.at(counts.stray).map(|at| StrayAnswer {
            at,
            from: address(counts.stray_address),
            port: u16::try_from(counts.stray_port).unwrap_or(0),
        });
        self.flows.add_odd(flow, Odd { not_followed: counts.not_followed, stray });
    }

    /// All maps are read.
    pub(super) fn complete(mut self) -> Flows {
        #[expect(clippy::iter_over_hash_type, reason = "the flows are sorted afterwards")]
        for (flow, asked) in self.asked {
            self.flows.add_happened(flow, What::NotBegun, asked);
        }
        self.flows.complete()
    }

    pub(super) fn at(&self, jiffies: u64) -> Option<Timestamp> {
        moment(self.ages, jiffies, self.now)
    }
}

/// What was seen on the wire.
pub(super) fn wire(
    counts: &FlowCounts,
    attachments: &Attachments,
    ages: Ages,
    now: Timestamp,
) -> Wire {
    Wire {
        received: counts.received,
        transmitted: counts.transmitted,
        forwarded: counts.forwarded,
        last_received: moment(ages, counts.last_received, now),
        last_transmitted: moment(ages, counts.last_transmitted, now),
        interface: attachments.name(counts.interface),
    }
}

/// When a time in jiffies was; `None` for never.
fn moment(ages: Ages, jiffies: u64, now: Timestamp) -> Option<Timestamp> {
    let age = SignedDuration::try_from(ages.age(jiffies)?).ok()?;
    now.checked_sub(age).ok()
}

/// Whether nothing more is expected of an attempt: its asker stopped asking, or it is used without a word.
pub(super) fn is_over(attempt: &OpenAttempt, now: Timestamp) -> bool {
    let OpenAttempt { began, last, answered, acknowledged, .. } = *attempt;
    if let Some(at) = acknowledged {
        return now.duration_since(at) >= ANSWER_GRACE;
    }
    // The next SYN would come after as long as all before took, and one more second.
    let asked = last.duration_since(began);
    let last = answered.map_or(last, |at| at.max(last));
    now.duration_since(last) >= asked + 2 * ANSWER_GRACE
}

fn address(words: [u64; 2]) -> IpAddr {
    let key = FlowKey { peer: words, service: 0 };
    IpAddr::V6(Ipv6Addr::from(key.peer_octets())).to_canonical()
}

/// `None` for a key that no program of ours can have written.
pub fn flow_id(key: &FlowKey) -> Option<FlowId> {
    Some(FlowId {
        service_port: key.service_port(),
        transport: key.transport()?,
        side: key.side()?,
        loopback: key.loopback(),
        peer: address(key.peer),
    })
}

/// The address of a peer as keys have it.
pub(super) fn peer_words(peer: IpAddr) -> [u64; 2] {
    let address = match peer {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    FlowKey::peer_words(address.octets())
}

/// The key of a flow.
pub(super) fn flow_key(flow: &FlowId) -> FlowKey {
    FlowKey::new(peer_words(flow.peer), flow.service_port, flow.transport, flow.side, flow.loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_has_one_key() {
        for peer in ["10.20.0.7", "fd00:20::7"] {
            for (transport, side, loopback) in
                [(Transport::Tcp, Side::Client, false), (Transport::Udp, Side::Server, true)]
            {
                let peer = peer.parse().unwrap();
                let flow = FlowId { service_port: 50051, transport, side, loopback, peer };
                assert_eq!(flow_id(&flow_key(&flow)), Some(flow));
            }
        }
    }
}
