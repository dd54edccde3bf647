//! Snapshots of what the kernel programs counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{FlowKey, Loss, names::MOST_LISTED};
use tokio::sync::watch;

use super::{
    explained::Explained,
    listeners::Listeners,
    routes::Routes,
    sessions::{FOLLOW_EVERY, is_troubled, sessions},
    tallies::{Tallies, flow_id, flow_key, peer_words, wire},
};
use crate::{
    discrepancy::Carried,
    kernel::{self, Ages, Attachments, Interfaces, MachineHooks, Mode, Object, open_flows},
    observe::{FlowId, Flows, Hook, PortSet, RETRANSMIT, Snapshot, Tally},
};

/// How long a flow has to be idle before it makes room for others.
const EVICT_AFTER: SignedDuration = SignedDuration::from_mins(60);

/// The same for one that belongs to no expectation: anybody can make those by the thousand.
const EVICT_STRANGER_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// How often open connections are placed at most.
const PLACE_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// The kernel programs, attached.
#[derive(Debug)]
pub struct KernelSource {
    object: Object,
    counting: Option<Arc<str>>,
    attachments: Attachments,
    machine: MachineHooks,
    interfaces: watch::Receiver<Interfaces>,
    /// The host's addresses, as the programs know them.
    addresses: Vec<IpAddr>,
    /// Not all programs are attached yet.
    unfinished: bool,
    ports: PortSet,
    unplaced: u64,
    placed: Timestamp,
    asked: BTreeSet<IpAddr>,
    listed: BTreeSet<IpAddr>,
    /// When the open sessions were last looked at.
    looked: Timestamp,
    explained: Explained,
    listeners: Listeners,
    routes: Routes,
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
        let explained = Explained::new(object.reasons.clone());
        let mut source = Self {
            counting: object.counting(),
            object,
            machine,
            attachments: Attachments::new(mode),
            interfaces,
            addresses: Vec::new(),
            unfinished: false,
            ports,
            unplaced: 0,
            placed: now,
            asked: BTreeSet::new(),
            listed: BTreeSet::new(),
            looked: now,
            explained,
            listeners: Listeners::default(),
            routes: Routes::default(),
        };
        // Before the first packet is counted, so that none of an open connection is missed.
        source.place_open_connections(now)?;
        source.follow_interfaces(now);
        while source.unfinished {
            source.follow_interfaces(now);
        }
        Ok(source)
    }

    /// Goes on from what an earlier run had last seen: of listeners, and of peers that attempts fail with.
    pub fn resume(&mut self, carried: &Carried, looked: Timestamp) {
        self.listeners = Listeners::resume(carried.listeners.clone(), looked);
        self.ask_routes(carried.peers());
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
        let Interfaces { list, addresses, .. } = self.interfaces.borrow_and_update().clone();
        if addresses != self.addresses {
            match self.object.set_own(&addresses) {
                Ok(()) => self.addresses = addresses,
                Err(error) => tracing::warn!(
                    error = kernel::in_full(&error),
                    "the programs were not told the host's addresses"
                ),
            }
        }
        self.unfinished = self.attachments.reconcile(&mut self.object, &list, now);
    }

    /// Everything that was counted until now. The open sessions are looked at where something speaks of
    /// trouble, and now and then while some are `followed`. Flows of strangers are the first to make room.
    pub fn snapshot(
        &mut self,
        now: Timestamp,
        followed: bool,
        is_stranger: impl FnMut(&FlowId, &Tally) -> bool,
    ) -> Result<Snapshot, kernel::Error> {
        let taken_away = self.attachments.find_lost(&mut self.object, now);
        self.retry_attaching(now)?;
        let ages = self.object.ages()?;
        let room = self.object.room()?;
        let attachments = &self.attachments;
        let mut tallies = Tallies::new(attachments, ages, now);
        let Object { flows, sockets, drops, events, connections, handshakes, .. } =
            &mut self.object;
        let mut over = Vec::new();
        handshakes.open.read(|key, handshake| {
            over.extend(tallies.open_attempt(&key, &handshake).map(|end| (key, end)));
        })?;
        flows.read(|key, counts| tallies.wire(&key, &counts))?;
        sockets.read(|key, counts| tallies.sockets(&key, &counts))?;
        // Those alone, which are few: in a flood every flow has a drop.
        let mut unexplained = Vec::new();
        let explained = &mut self.explained;
        drops.read(|key, counts| {
            if explained.concerns(&key) {
                unexplained.push((key, counts));
            }
        })?;
        explained.note(&unexplained, |counts| tallies.at(counts.last), now);
        drop(unexplained);
        drops.read(|key, counts| tallies.drop(&key, &counts, explained))?;
        events.read(|key, counts| tallies.event(&key, &counts))?;
        connections.read(|key, counts| tallies.connections(&key, &counts))?;
        self.object.end_handshakes(over.into_iter())?;
        let ended = &mut self.object.handshakes.ended;
        ended.read(|key, counts| tallies.ended_attempts(&key, &counts))?;
        let mut flows = tallies.complete();
        let lost: BTreeMap<Loss, u64> = self.object.lost()?.into_iter().collect();
        let unplaced = lost.get(&Loss::Unplaced).copied().unwrap_or(0);
        if unplaced > self.unplaced && now.duration_since(self.placed).abs() >= PLACE_EVERY {
            self.unplaced = unplaced;
            self.place_open_connections(now)?;
        }
        let evicted = self.evict(&mut flows, ages, now, is_stranger)?;
        self.keep_room(flows.wire().count(), room)?;
        let routes = self.routes.find(&self.attachments, &self.addresses, &self.asked, &flows, now);
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
            entries: flows.wire().count(),
            flows,
            counting: self.counting.clone(),
            evicted,
            capacity: self.object.flows.capacity(),
            lost,
            listeners: self.listeners.follow(&self.ports, &self.attachments, now)?,
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

    /// From now on, a quarter of the map is kept for flows with these peers, if they are not too many.
    pub fn keep_for(&mut self, peers: &BTreeSet<IpAddr>) -> Result<(), kernel::Error> {
        let most = usize::try_from(MOST_LISTED).unwrap_or(usize::MAX);
        let none = BTreeSet::new();
        let peers = if peers.len() > most { &none } else { peers };
        if *peers == self.listed {
            return Ok(());
        }
        for gone in self.listed.difference(peers) {
            self.object.list(peer_words(*gone), false)?;
        }
        for new in peers.difference(&self.listed) {
            self.object.list(peer_words(*new), true)?;
        }
        self.listed.clone_from(peers);
        Ok(())
    }

    /// Says how many flows of others may be made until the next snapshot. Those that were made since there was
    /// `room` may be among the entries or not.
    fn keep_room(&mut self, entries: usize, room: i64) -> Result<(), kernel::Error> {
        let theirs = i64::from(self.object.flows.capacity() / 4 * 3);
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        let made = room.saturating_sub(self.object.room()?);
        let left = theirs.saturating_sub(entries).saturating_sub(made);
        self.object.make_room(if self.listed.is_empty() { i64::MAX } else { left })
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
        flows: &mut Flows,
        ages: Ages,
        now: Timestamp,
        mut is_stranger: impl FnMut(&FlowId, &Tally) -> bool,
    ) -> Result<Vec<(FlowId, Tally)>, kernel::Error> {
        let capacity = usize::try_from(self.object.flows.capacity()).unwrap_or(usize::MAX);
        if flows.wire().count() < capacity / 4 * 3 {
            return Ok(Vec::new());
        }
        let is_idle =
            |seen: Option<Timestamp>, time| seen.is_none_or(|seen| now.duration_since(seen) > time);
        let idle = flows.wire().filter(|(flow, wire)| {
            let seen = wire.last_seen();
            is_idle(seen, EVICT_AFTER)
                || is_idle(seen, EVICT_STRANGER_AFTER)
                    && flows.get(*flow).is_some_and(|tally| is_stranger(flow, &tally))
        });
        let mut evicted = Vec::new();
        for (flow, _) in idle {
            let key = flow_key(flow);
            let Some(counts) = self.object.flows.evict(key)? else { continue };
            self.object.sockets.evict(key)?;
            self.object.connections.evict(key)?;
            self.object.handshakes.ended.evict(key)?;
            let last = wire(&counts, &self.attachments, ages, now);
            evicted.extend(flows.get(*flow).map(|tally| (*flow, Tally { wire: last, ..tally })));
        }
        if evicted.is_empty() {
            return Ok(evicted);
        }
        // What the other hooks counted of them goes with them.
        let gone: BTreeSet<FlowId> = evicted.iter().map(|(flow, _)| *flow).collect();
        let is_gone = |key: &FlowKey| flow_id(key).is_none_or(|flow| gone.contains(&flow));
        let (mut drops, mut events) = (Vec::new(), Vec::new());
        self.object.drops.read(|key, _| drops.extend(is_gone(&key.flow).then_some(key)))?;
        self.object.events.read(|key, _| events.extend(is_gone(&key.flow).then_some(key)))?;
        for key in drops {
            self.explained.forget(&key);
            self.object.drops.evict(key)?;
        }
        for key in events {
            self.object.events.evict(key)?;
        }
        flows.retain(|flow| !gone.contains(flow));
        Ok(evicted)
    }
}
