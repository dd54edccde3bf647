//! Every flow of a snapshot.

use std::iter;

use super::{
    AttemptEnd, Attempts, Drop, Ended, FlowId, Happened, IcmpErrors, Odd, OpenAttempt, Outcome,
    Sockets, Tally, Wire,
};

/// What was counted, by flow: a table for each kind of counts, since few flows have all of them. A tally
/// is put together when it is asked for: one for every flow at once would take several times the memory.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    wire: Table<Wire>,
    sockets: Table<Sockets>,
    open: Table<OpenAttempt>,
    ended: Table<(AttemptEnd, Ended)>,
    odd: Table<Odd>,
    dropped: Table<Drop>,
    icmp: Table<IcmpErrors>,
    happened: Table<(What, Happened)>,
}

/// In the order of the flows, once it is complete.
type Table<T> = Vec<(FlowId, T)>;

/// What happened to connections of a flow, and to attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// An attempt of this host never began. One that begins at this moment can be among them.
    NotBegun,
    /// No local port was left for an attempt of this host.
    NoPort,
    /// A program at a cgroup forbids an attempt of this host.
    Forbidden,
    /// This host sent a segment again.
    Retransmitted,
    /// What became of a connection.
    Outcome(Outcome),
}

impl Flows {
    /// Takes in what was seen on the wire, once for a flow.
    pub fn add_wire(&mut self, flow: FlowId, wire: Wire) {
        self.wire.push((flow, wire));
    }

    /// Takes in what sockets got and sent, once for a flow.
    pub fn add_sockets(&mut self, flow: FlowId, sockets: Sockets) {
        self.sockets.push((flow, sockets));
    }

    /// Takes in an attempt that is open.
    pub fn add_open(&mut self, flow: FlowId, attempt: OpenAttempt) {
        self.open.push((flow, attempt));
    }

    /// Takes in attempts that ended alike, where there are any.
    pub fn add_ended(&mut self, flow: FlowId, end: AttemptEnd, ended: Ended) {
        if ended.times > 0 {
            self.ended.push((flow, (end, ended)));
        }
    }

    /// Takes in what is rare of attempts, once for a flow.
    pub fn add_odd(&mut self, flow: FlowId, odd: Odd) {
        if odd != Odd::default() {
            self.odd.push((flow, odd));
        }
    }

    /// Takes in what was dropped alike.
    pub fn add_drop(&mut self, flow: FlowId, drop: Drop) {
        self.dropped.push((flow, drop));
    }

    /// Takes in ICMP errors of one kind.
    pub fn add_icmp(&mut self, flow: FlowId, errors: IcmpErrors) {
        self.icmp.push((flow, errors));
    }

    /// Takes in what happened, where it did.
    pub fn add_happened(&mut self, flow: FlowId, what: What, happened: Happened) {
        if happened.times > 0 {
            self.happened.push((flow, (what, happened)));
        }
    }

    /// All is taken in: from now on flows are found.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.wire.sort_unstable_by_key(|(flow, _)| *flow);
        self.sockets.sort_unstable_by_key(|(flow, _)| *flow);
        self.open.sort_unstable_by_key(|(flow, open)| (*flow, open.began, open.port));
        self.ended.sort_unstable_by_key(|(flow, (end, _))| (*flow, *end));
        self.odd.sort_unstable_by_key(|(flow, _)| *flow);
        // In place, and what is told of one flow always in the same order.
        self.dropped.sort_unstable_by(|(a, one), (b, other)| {
            let key = |drop: &Drop| (drop.received, drop.opening, drop.at_device);
            (a, &one.reason, key(one)).cmp(&(b, &other.reason, key(other)))
        });
        self.happened.sort_unstable_by_key(|(flow, (what, _))| (*flow, *what));
        self.icmp.sort_by_key(|(flow, _)| *flow);
        self
    }

    /// Every flow, in order.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, Tally)> {
        let mut rest = Rest::of(self);
        iter::from_fn(move || {
            let flow = rest.next()?;
            Some((flow, rest.tally(flow)))
        })
    }

    /// What was counted for a flow.
    pub fn get(&self, flow: FlowId) -> Option<Tally> {
        let mut rest = self.from(flow);
        (rest.next()? == flow).then(|| rest.tally(flow))
    }

    /// Whether something was counted for a flow.
    pub fn has(&self, flow: FlowId) -> bool {
        self.from(flow).next() == Some(flow)
    }

    fn from(&self, flow: FlowId) -> Rest<'_> {
        let mut rest = Rest::of(self);
        skip(&mut rest.wire, flow);
        skip(&mut rest.sockets, flow);
        skip(&mut rest.open, flow);
        skip(&mut rest.ended, flow);
        skip(&mut rest.odd, flow);
        skip(&mut rest.dropped, flow);
        skip(&mut rest.icmp, flow);
        skip(&mut rest.happened, flow);
        rest
    }

    /// Those on the wire, in order.
    pub fn wire(&self) -> impl Iterator<Item = &(FlowId, Wire)> {
        self.wire.iter()
    }

    /// The attempts that are open.
    pub fn open_attempts(&self) -> impl Iterator<Item = &(FlowId, OpenAttempt)> {
        self.open.iter()
    }

    /// The attempts that ended, by flow and how.
    pub fn ended_attempts(&self) -> impl Iterator<Item = &(FlowId, (AttemptEnd, Ended))> {
        self.ended.iter()
    }

    /// Everything that was dropped.
    pub fn dropped(&self) -> impl Iterator<Item = &(FlowId, Drop)> {
        self.dropped.iter()
    }

    /// Every time that something happened.
    pub fn happened(&self) -> impl Iterator<Item = &(FlowId, (What, Happened))> {
        self.happened.iter()
    }

    /// Keeps some flows only.
    pub fn retain(&mut self, keep: impl Fn(&FlowId) -> bool) {
        self.wire.retain(|(flow, _)| keep(flow));
        self.sockets.retain(|(flow, _)| keep(flow));
        self.open.retain(|(flow, _)| keep(flow));
        self.ended.retain(|(flow, _)| keep(flow));
        self.odd.retain(|(flow, _)| keep(flow));
        self.dropped.retain(|(flow, _)| keep(flow));
        self.icmp.retain(|(flow, _)| keep(flow));
        self.happened.retain(|(flow, _)| keep(flow));
    }
}

impl FromIterator<(FlowId, Tally)> for Flows {
    fn from_iter<T: IntoIterator<Item = (FlowId, Tally)>>(tallies: T) -> Self {
        let mut flows = Self::default();
        for (flow, tally) in tallies {
            for (outcome, happened) in tally.outcomes {
                flows.add_happened(flow, What::Outcome(outcome), happened);
            }
            flows.add_happened(flow, What::NotBegun, tally.not_begun);
            flows.add_happened(flow, What::NoPort, tally.no_port);
            flows.add_happened(flow, What::Forbidden, tally.forbidden);
            flows.add_happened(flow, What::Retransmitted, tally.retransmitted);
            flows.dropped.extend(tally.dropped.into_iter().map(|drop| (flow, drop)));
            flows.icmp.extend(tally.icmp.into_iter().map(|errors| (flow, errors)));
            let Attempts { ended, open, odd } = tally.attempts;
            for (end, ended) in ended {
                flows.add_ended(flow, end, ended);
            }
            for open in open {
                flows.add_open(flow, open);
            }
            flows.add_odd(flow, odd);
            flows.add_sockets(flow, tally.sockets);
            flows.add_wire(flow, tally.wire);
        }
        flows.complete()
    }
}

/// What is left of the tables.
struct Rest<'a> {
    wire: &'a [(FlowId, Wire)],
    sockets: &'a [(FlowId, Sockets)],
    open: &'a [(FlowId, OpenAttempt)],
    ended: &'a [(FlowId, (AttemptEnd, Ended))],
    odd: &'a [(FlowId, Odd)],
    dropped: &'a [(FlowId, Drop)],
    icmp: &'a [(FlowId, IcmpErrors)],
    happened: &'a [(FlowId, (What, Happened))],
}

impl<'a> Rest<'a> {
    fn of(flows: &'a Flows) -> Self {
        let Flows { wire, sockets, open, ended, odd, dropped, icmp, happened } = flows;
        Self { wire, sockets, open, ended, odd, dropped, icmp, happened }
    }

    fn next(&self) -> Option<FlowId> {
        let heads = [
            self.wire.first().map(|(flow, _)| *flow),
            self.sockets.first().map(|(flow, _)| *flow),
            self.open.first().map(|(flow, _)| *flow),
            self.ended.first().map(|(flow, _)| *flow),
            self.odd.first().map(|(flow, _)| *flow),
            self.dropped.first().map(|(flow, _)| *flow),
            self.icmp.first().map(|(flow, _)| *flow),
            self.happened.first().map(|(flow, _)| *flow),
        ];
        heads.into_iter().flatten().min()
    }

    fn tally(&mut self, flow: FlowId) -> Tally {
        let mut tally = Tally {
            wire: take(&mut self.wire, flow).next().cloned().unwrap_or_default(),
            sockets: take(&mut self.sockets, flow).next().copied().unwrap_or_default(),
            attempts: Attempts {
                ended: take(&mut self.ended, flow).copied().collect(),
                open: take(&mut self.open, flow).copied().collect(),
                odd: take(&mut self.odd, flow).next().copied().unwrap_or_default(),
            },
            dropped: take(&mut self.dropped, flow).cloned().collect(),
            icmp: take(&mut self.icmp, flow).cloned().collect(),
            ..Tally::default()
        };
        for &(what, happened) in take(&mut self.happened, flow) {
            match what {
                What::NotBegun => tally.not_begun = happened,
                What::NoPort => tally.no_port = happened,
                What::Forbidden => tally.forbidden = happened,
                What::Retransmitted => tally.retransmitted = happened,
                What::Outcome(outcome) => tally.outcomes.push((outcome, happened)),
            }
        }
        tally
    }
}

fn skip<T>(rest: &mut &[(FlowId, T)], flow: FlowId) {
    *rest = rest.split_at(rest.partition_point(|(other, _)| *other < flow)).1;
}

/// What the table has next of a flow.
fn take<'a, T>(rest: &mut &'a [(FlowId, T)], flow: FlowId) -> impl Iterator<Item = &'a T> {
    let own = rest.iter().take_while(|(other, _)| *other == flow).count();
    let (own, others) = rest.split_at(own);
    *rest = others;
    own.iter().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Counters, Side, Transport};

    #[test]
    fn tallies_come_out_as_they_went_in() {
        let at = "2026-01-01T00:00:00Z".parse().ok();
        let happened = |times| Happened { times, last: at };
        let counters = |packets| Counters { packets, ..Counters::ZERO };
        let drop = |reason: &str| Drop {
            reason: reason.into(),
            received: true,
            opening: true,
            datagram: false,
            packets: 1,
            first: at,
            last: at,
            interface: None,
            port: 1,
            ..Drop::default()
        };
        let wire = Wire {
            received: counters(1),
            transmitted: counters(2),
            forwarded: 3,
            last_received: at,
            interface: Some("eth0".into()),
            ..Wire::default()
        };
        let full = Tally {
            wire,
            sockets: Sockets { received: counters(4), transmitted: counters(5) },
            dropped: vec![drop("NETFILTER_DROP"), drop("NO_SOCKET")],
            not_begun: happened(6),
            no_port: happened(7),
            forbidden: happened(10),
            outcomes: vec![(Outcome::Established, happened(8))],
            retransmitted: happened(9),
            ..Tally::default()
        };
        let dropped = Tally { dropped: vec![drop("NO_SOCKET")], ..Tally::default() };
        let flow = |service_port| FlowId {
            service_port,
            transport: Transport::Tcp,
            side: Side::Client,
            loopback: false,
            peer: [10, 20, 0, 7].into(),
        };
        let tallies = [(flow(3), full.clone()), (flow(1), dropped), (flow(2), Tally::default())];
        let mut flows: Flows = tallies.clone().into_iter().collect();
        let [third, first, second] = tallies;
        assert_eq!(flows.iter().collect::<Vec<_>>(), [first, second, third]);
        assert_eq!((flows.get(flow(3)), flows.get(flow(4))), (Some(full), None));
        flows.retain(|flow| flow.service_port == 2);
        assert_eq!(flows.iter().collect::<Vec<_>>(), [(flow(2), Tally::default())]);
    }
}
