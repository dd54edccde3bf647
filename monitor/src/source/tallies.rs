//! From what the maps have to tallies.

use std::net::{IpAddr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{
    ConnectionCounts, DropCounts, DropKey, Event, EventCounts, EventKey, FlowCounts, FlowKey,
};

use crate::{
    kernel::{Ages, Attachments, Reasons},
    observe::{Drop, FlowId, Flows, Happened, IcmpErrors, Outcome, Side, Tally, Transport},
};

/// Tallies that are put together map by map, without a copy of any map.
pub(super) struct Tallies<'a> {
    pub(super) flows: Flows,
    pub(super) attachments: &'a Attachments,
    pub(super) ages: Ages,
    pub(super) now: Timestamp,
}

impl Tallies<'_> {
    /// What the wire saw of a flow.
    pub(super) fn wire(&mut self, key: &FlowKey, counts: &FlowCounts) {
        let Some(id) = flow_id(key) else { return };
        let tally = self.flows.entry(id).or_default();
        take_in_wire(tally, counts, self.attachments, self.ages, self.now);
    }

    /// What its sockets saw.
    pub(super) fn sockets(&mut self, key: &FlowKey, counts: &FlowCounts) {
        if let Some(tally) = self.of(key) {
            tally.socket_received = counts.received;
            tally.socket_transmitted = counts.transmitted;
        }
    }

    /// What was dropped of it for one reason.
    pub(super) fn drop(&mut self, key: &DropKey, counts: &DropCounts, reasons: &Reasons) {
        let Some(id) = flow_id(&key.flow) else { return };
        let drop = Drop {
            reason: reasons.name(key.reason()),
            received: key.received(),
            opening: key.opening(),
            // Answers are only placed where a request was.
            datagram: id.transport == Transport::Udp && key.received() == (id.side == Side::Server),
            packets: counts.packets,
            first: self.at(counts.first),
            last: self.at(counts.last),
            interface: self.attachments.name(counts.interface),
            port: counts.port,
        };
        let dropped = &mut self.flows.entry(id).or_default().dropped;
        // Most flows have one, and there may be very many flows.
        dropped.reserve_exact(1);
        dropped.push(drop);
    }

    /// ICMP errors, or attempts that never began.
    pub(super) fn event(&mut self, key: &EventKey, counts: &EventCounts) {
        let (first, last) = (self.at(counts.first), self.at(counts.last));
        let (Some(tally), Some(event)) = (self.of(&key.flow), key.event()) else { return };
        let times = counts.times;
        match event {
            Event::Icmp { kind, received } => {
                tally.icmp.push(IcmpErrors { kind, received, packets: times, first, last });
            }
            Event::Attempt => tally.not_begun = Happened { times, last },
            Event::NoPort => tally.no_port = Happened { times, last },
        }
    }

    /// What became of its connections.
    pub(super) fn connections(&mut self, key: &FlowKey, counts: &ConnectionCounts) {
        let seen = counts.outcomes.into_iter().zip(counts.last);
        let outcomes: Vec<_> = Outcome::ALL
            .into_iter()
            .zip(seen)
            .filter(|(_, (times, _))| *times > 0)
            .map(|(outcome, (times, last))| (outcome, Happened { times, last: self.at(last) }))
            .collect();
        let last = self.at(counts.last_retransmitted);
        if let Some(tally) = self.of(key) {
            tally.outcomes = outcomes;
            tally.retransmitted = Happened { times: counts.retransmitted, last };
            // Read after the attempts, so that what has begun is among them, or more.
            tally.not_begun.times = tally.not_begun.times.saturating_sub(counts.begun);
        }
    }

    fn of(&mut self, key: &FlowKey) -> Option<&mut Tally> {
        Some(self.flows.entry(flow_id(key)?).or_default())
    }

    fn at(&self, jiffies: u64) -> Option<Timestamp> {
        moment(self.ages, jiffies, self.now)
    }
}

/// What the wire saw.
pub(super) fn take_in_wire(
    tally: &mut Tally,
    counts: &FlowCounts,
    attachments: &Attachments,
    ages: Ages,
    now: Timestamp,
) {
    tally.received = counts.received;
    tally.transmitted = counts.transmitted;
    tally.forwarded = counts.forwarded;
    tally.last_received = moment(ages, counts.last_received, now);
    tally.last_transmitted = moment(ages, counts.last_transmitted, now);
    tally.interface = attachments.name(counts.interface);
}

/// When a time in jiffies was; `None` for never.
fn moment(ages: Ages, jiffies: u64, now: Timestamp) -> Option<Timestamp> {
    let age = SignedDuration::try_from(ages.age(jiffies)?).ok()?;
    now.checked_sub(age).ok()
}

/// `None` for a key that no program of ours can have written.
pub fn flow_id(key: &FlowKey) -> Option<FlowId> {
    Some(FlowId {
        service_port: key.service_port(),
        transport: key.transport()?,
        side: key.side()?,
        loopback: key.loopback(),
        peer: IpAddr::V6(Ipv6Addr::from(key.peer_octets())).to_canonical(),
    })
}
