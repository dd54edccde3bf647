//! Snapshots of what the kernel programs counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{Event, FlowCounts, FlowKey, Loss};
use tokio::sync::watch;

use super::routes;
use super::sessions::{FOLLOW_EVERY, is_troubled, sessions};
use crate::{
    kernel::{
        self, Ages, Attachments, Interfaces, MachineHooks, Mode, Object, listeners, open_flows,
    },
    observe::{
        Drop, FlowId, Happened, Hook, IcmpErrors, Listening, Outcome, PortSet, RETRANSMIT, Side,
        Snapshot, Tally, Transport,
    },
};

/// How long a flow has to be idle before it makes room for others.
const EVICT_AFTER: SignedDuration = SignedDuration::from_mins(60);

/// How often open connections are placed at most.
const PLACE_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// The kernel programs, attached.
#[derive(Debug)]
pub struct KernelSource {
    object: Object,
    attachments: Attachments,
    machine: MachineHooks,
    interfaces: watch::Receiver<Interfaces>,
    /// Not all programs are attached yet.
    unfinished: bool,
    ports: PortSet,
    unplaced: u64,
    placed: Timestamp,
    asked: BTreeSet<IpAddr>,
    /// When the open sessions were last looked at.
    looked: Timestamp,
}

impl KernelSource {
    /// Attaches the programs to every interface there is.
    pub fn start(
        mut object: Object,
        mode: Mode,
        interfaces: watch::Receiver<Interfaces>,
        ports: PortSet,
        disabled: &[&str],
        now: Timestamp,
    ) -> Result<Self, kernel::Error> {
        object.set_ports(&ports)?;
        let machine = MachineHooks::attach(&mut object, disabled, now);
        let mut source = Self {
            object,
            machine,
            attachments: Attachments::new(mode),
            interfaces,
            unfinished: false,
            ports,
            unplaced: 0,
            placed: now,
            asked: BTreeSet::new(),
            looked: now,
        };
        // Before the first packet is counted, so that none of an open connection is missed.
        source.place_open_connections(now)?;
        source.follow_interfaces(now);
        while source.unfinished {
            source.follow_interfaces(now);
        }
        Ok(source)
    }

    /// Counts other ports from now on.
    pub fn set_ports(&mut self, ports: PortSet, now: Timestamp) -> Result<(), kernel::Error> {
        self.ports = ports;
        self.place_open_connections(now)?;
        self.object.set_ports(&self.ports)
    }

    /// Leaves out of all counts, from now on, what goes by this local TCP port; 0 leaves nothing out.
    pub fn leave_out(&mut self, port: u16) -> Result<(), kernel::Error> {
        self.object.leave_out(port)
    }

    /// Waits until there is something to attach or to forget. Never, where interfaces cannot be followed.
    pub async fn interfaces_changed(&mut self) {
        if !self.unfinished && self.interfaces.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Attaches to new interfaces and forgets those that are gone.
    pub fn follow_interfaces(&mut self, now: Timestamp) {
        let interfaces = self.interfaces.borrow_and_update().list.clone();
        self.unfinished = self.attachments.reconcile(&mut self.object, &interfaces, now);
    }

    /// Everything that was counted until now. The open sessions are looked at where something speaks of
    /// trouble, and now and then while some are `followed`.
    pub fn snapshot(&mut self, now: Timestamp, followed: bool) -> Result<Snapshot, kernel::Error> {
        let taken_away = self.attachments.find_lost(&mut self.object, now);
        self.retry_attaching(now)?;
        let counted = self.object.flows.read()?;
        let lost: BTreeMap<Loss, u64> = self.object.lost()?.into_iter().collect();
        let ages = self.object.ages()?;
        let unplaced = lost.get(&Loss::Unplaced).copied().unwrap_or(0);
        if unplaced > self.unplaced && now.duration_since(self.placed).abs() >= PLACE_EVERY {
            self.unplaced = unplaced;
            self.place_open_connections(now)?;
        }
        let mut flows = BTreeMap::new();
        for (key, counts) in &counted {
            if let Some(id) = flow_id(key) {
                flows.insert(id, self.with_wire(Tally::default(), counts, ages, now));
            }
        }
        let at = |jiffies| moment(ages, jiffies, now);
        for (key, counts) in self.object.sockets.read()? {
            if let Some(id) = flow_id(&key) {
                let tally: &mut Tally = flows.entry(id).or_default();
                tally.socket_received = counts.received;
                tally.socket_transmitted = counts.transmitted;
            }
        }
        let dropped = self.object.drops.read()?;
        for (key, counts) in &dropped {
            if let Some(id) = flow_id(&key.flow) {
                let dropped: &mut Vec<Drop> = &mut flows.entry(id).or_default().dropped;
                // Most flows have one, and there may be very many flows.
                dropped.reserve_exact(1);
                dropped.push(Drop {
                    reason: self.object.reason(key.reason()),
                    received: key.received(),
                    opening: key.opening(),
                    // Answers are only placed where a request was.
                    datagram: id.transport == Transport::Udp
                        && key.received() == (id.side == Side::Server),
                    packets: counts.packets,
                    first: at(counts.first),
                    last: at(counts.last),
                    interface: self.attachments.name(counts.interface),
                    port: counts.port,
                });
            }
        }
        let events = self.object.events.read()?;
        for (key, counts) in &events {
            let (Some(id), Some(event)) = (flow_id(&key.flow), key.event()) else { continue };
            let tally = flows.entry(id).or_default();
            let (first, last) = (at(counts.first), at(counts.last));
            match event {
                Event::Icmp { kind, received } => {
                    let packets = counts.times;
                    tally.icmp.push(IcmpErrors { kind, received, packets, first, last });
                }
                Event::Attempt => tally.not_begun = Happened { times: counts.times, last },
                Event::NoPort => tally.no_port = Happened { times: counts.times, last },
            }
        }
        for (key, counts) in self.object.connections.read()? {
            if let Some(id) = flow_id(&key) {
                let tally = flows.entry(id).or_default();
                tally.outcomes = Outcome::ALL
                    .into_iter()
                    .zip(counts.outcomes.into_iter().zip(counts.last))
                    .filter(|(_, (times, _))| *times > 0)
                    .map(|(outcome, (times, last))| (outcome, Happened { times, last: at(last) }))
                    .collect();
                tally.retransmitted =
                    Happened { times: counts.retransmitted, last: at(counts.last_retransmitted) };
                // Read after the attempts, so that what has begun is among them, or more.
                tally.not_begun.times = tally.not_begun.times.saturating_sub(counts.begun);
            }
        }
        let evicted = self.evict(&counted, &mut flows, ages, now)?;
        let is_gone = |key: &FlowKey| flow_id(key).is_none_or(|id| !flows.contains_key(&id));
        for (key, _) in dropped.iter().filter(|(key, _)| is_gone(&key.flow)) {
            self.object.drops.evict(*key)?;
        }
        for (key, _) in events.iter().filter(|(key, _)| is_gone(&key.flow)) {
            self.object.events.evict(*key)?;
        }
        let routes = routes::routes(&self.attachments, &self.asked, &flows, now);
        let is_followed = followed && now.duration_since(self.looked).abs() >= FOLLOW_EVERY;
        let looks = is_followed || is_troubled(&flows, now) || !self.sees_retransmissions();
        let (sessions, sessions_left_out) = if looks {
            self.looked = now;
            let (sessions, left_out) = sessions(&self.ports)?;
            (Some(sessions), left_out)
        } else {
            (None, 0)
        };
        Ok(Snapshot {
            taken: now,
            flows,
            entries: counted.len() - evicted.len(),
            evicted,
            capacity: self.object.flows.capacity(),
            lost,
            listeners: self.listeners()?,
            routes,
            sessions,
            sessions_left_out,
            interface_overruns: self.interfaces.borrow().overruns,
            coverage: self.coverage(taken_away),
        })
    }

    /// From now on, snapshots have the routes to these peers, so far as they are not too many.
    pub fn ask_routes(&mut self, peers: impl Iterator<Item = IpAddr>) {
        self.asked = peers.collect();
    }

    /// The object, for the kernel's log.
    pub fn object(&mut self) -> &mut Object {
        &mut self.object
    }

    /// Detaches everything.
    pub async fn stop(self) {
        self.attachments.remove().await;
    }

    fn sees_retransmissions(&self) -> bool {
        let mut hooks = self.machine.hooks();
        hooks.any(|hook| hook.hook == RETRANSMIT && hook.fault.is_none())
    }

    fn listeners(&self) -> Result<Vec<Listening>, kernel::Error> {
        let listeners = listeners()?.into_iter();
        let documented = listeners
            .filter(|listener| self.ports.contains(listener.transport, listener.address.port()));
        Ok(documented
            .map(|listener| Listening {
                transport: listener.transport,
                address: listener.address,
                is_full: listener.transport == Transport::Tcp && listener.waiting > listener.room,
            })
            .collect())
    }

    /// Every hook. What was `taken_away` is told once, also where it is attached again by now.
    fn coverage(&self, taken_away: Vec<Hook>) -> Vec<Hook> {
        let is_told = |hook: &Hook| {
            taken_away.iter().any(|it| (it.hook, &it.interface) == (hook.hook, &hook.interface))
        };
        let mut hooks = self.attachments.hooks();
        hooks.retain(|hook| !is_told(hook));
        hooks.into_iter().chain(self.machine.hooks()).chain(taken_away).collect()
    }

    fn retry_attaching(&mut self, now: Timestamp) -> Result<(), kernel::Error> {
        if self.attachments.hooks().iter().any(|hook| hook.fault.is_some()) {
            self.follow_interfaces(now);
        }
        if self.machine.retry(&mut self.object, now) {
            self.place_open_connections(now)?;
        }
        Ok(())
    }

    fn place_open_connections(&mut self, now: Timestamp) -> Result<(), kernel::Error> {
        self.placed = now;
        for flow in open_flows(&self.ports)? {
            self.object.flows.place(flow)?;
            self.object.sockets.place(flow)?;
        }
        Ok(())
    }

    /// Makes room when three quarters of the map are taken.
    fn evict(
        &mut self,
        counted: &[(FlowKey, FlowCounts)],
        flows: &mut BTreeMap<FlowId, Tally>,
        ages: Ages,
        now: Timestamp,
    ) -> Result<Vec<(FlowId, Tally)>, kernel::Error> {
        let capacity = usize::try_from(self.object.flows.capacity()).unwrap_or(usize::MAX);
        if counted.len() < capacity / 4 * 3 {
            return Ok(Vec::new());
        }
        let mut evicted = Vec::new();
        for (key, _) in counted {
            let Some(id) = flow_id(key) else { continue };
            let idle = flows
                .get(&id)
                .and_then(Tally::last_seen)
                .is_none_or(|seen| now.duration_since(seen) > EVICT_AFTER);
            if idle && let Some(counts) = self.object.flows.evict(*key)? {
                let others = flows.remove(&id).unwrap_or_default();
                evicted.push((id, self.with_wire(others, &counts, ages, now)));
                self.object.sockets.evict(*key)?;
                self.object.connections.evict(*key)?;
            }
        }
        Ok(evicted)
    }

    fn with_wire(&self, others: Tally, counts: &FlowCounts, ages: Ages, now: Timestamp) -> Tally {
        Tally {
            received: counts.received,
            transmitted: counts.transmitted,
            forwarded: counts.forwarded,
            last_received: moment(ages, counts.last_received, now),
            last_transmitted: moment(ages, counts.last_transmitted, now),
            interface: self.attachments.name(counts.interface),
            ..others
        }
    }
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
