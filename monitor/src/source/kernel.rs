//! Snapshots of what the kernel programs counted.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{FlowCounts, FlowKey, Loss};
use tokio::sync::watch;

use crate::{
    kernel::{self, Ages, Attachments, Interface, Mode, Object, open_flows},
    observe::{FlowId, PortSet, Snapshot, Tally},
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
    interfaces: watch::Receiver<Vec<Interface>>,
    ports: PortSet,
    unplaced: u64,
    placed: Timestamp,
}

impl KernelSource {
    /// Attaches the programs to every interface there is.
    pub fn start(
        mut object: Object,
        mode: Mode,
        interfaces: watch::Receiver<Vec<Interface>>,
        ports: PortSet,
        now: Timestamp,
    ) -> Result<Self, kernel::Error> {
        object.set_ports(&ports)?;
        let mut source = Self {
            object,
            attachments: Attachments::new(mode),
            interfaces,
            ports,
            unplaced: 0,
            placed: now,
        };
        // Before the first packet is counted, so that none of an open connection is missed.
        source.place_open_connections(now)?;
        source.follow_interfaces(now);
        Ok(source)
    }

    /// Counts other ports from now on.
    pub fn set_ports(&mut self, ports: PortSet, now: Timestamp) -> Result<(), kernel::Error> {
        self.ports = ports;
        self.place_open_connections(now)?;
        self.object.set_ports(&self.ports)
    }

    /// Waits until the interfaces are others than before. Never, where they cannot be followed.
    pub async fn interfaces_changed(&mut self) {
        if self.interfaces.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Attaches to new interfaces and forgets those that are gone.
    pub fn follow_interfaces(&mut self, now: Timestamp) {
        let interfaces = self.interfaces.borrow_and_update().clone();
        self.attachments.reconcile(&mut self.object, &interfaces, now);
    }

    /// Everything that was counted until now.
    pub fn snapshot(&mut self, now: Timestamp) -> Result<Snapshot, kernel::Error> {
        self.retry_attaching(now);
        let counted = self.object.flows.read()?;
        let lost: BTreeMap<Loss, u64> = self.object.lost()?.into_iter().collect();
        let ages = self.object.ages()?;
        let unplaced = lost.get(&Loss::Unplaced).copied().unwrap_or(0);
        if unplaced > self.unplaced && now.duration_since(self.placed) >= PLACE_EVERY {
            self.unplaced = unplaced;
            self.place_open_connections(now)?;
        }
        let mut flows = BTreeMap::new();
        for (key, counts) in &counted {
            if let Some(id) = flow_id(key) {
                flows.insert(id, self.tally(counts, ages, now));
            }
        }
        let evicted = self.evict(&counted, &mut flows, ages, now)?;
        Ok(Snapshot {
            taken: now,
            flows,
            evicted,
            capacity: self.object.flows.capacity(),
            lost,
            coverage: self.attachments.hooks(),
        })
    }

    /// The object, for the kernel's log.
    pub fn object(&mut self) -> &mut Object {
        &mut self.object
    }

    /// Detaches everything.
    pub async fn stop(self) {
        self.attachments.remove().await;
    }

    fn retry_attaching(&mut self, now: Timestamp) {
        if self.attachments.hooks().iter().any(|hook| hook.fault.is_some()) {
            self.follow_interfaces(now);
        }
    }

    fn place_open_connections(&mut self, now: Timestamp) -> Result<(), kernel::Error> {
        self.placed = now;
        for flow in open_flows(&self.ports)? {
            self.object.flows.place(flow)?;
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
                flows.remove(&id);
                evicted.push((id, self.tally(&counts, ages, now)));
            }
        }
        Ok(evicted)
    }

    fn tally(&self, counts: &FlowCounts, ages: Ages, now: Timestamp) -> Tally {
        let at = |jiffies| {
            let age = SignedDuration::try_from(ages.age(jiffies)?).ok()?;
            now.checked_sub(age).ok()
        };
        Tally {
            received: counts.received,
            transmitted: counts.transmitted,
            forwarded: counts.forwarded,
            last_received: at(counts.last_received),
            last_transmitted: at(counts.last_transmitted),
            interface: self.attachments.name(counts.interface),
        }
    }
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
