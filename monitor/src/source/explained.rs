//! What more is known of drops than the kernel's reason: which part of netfilter they can be, and that
//! they were XDP's.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use monitor_common::{DropCounts, DropKey, Transport};

use crate::{
    kernel::{Conntrack, Reasons, conntrack, runs_xdp},
    observe::{Netfilter, UNNAMED, XDP},
};

/// How old the last drop can be for which something that runs now can have done it.
const RECENT: SignedDuration = SignedDuration::from_secs(3);

/// What is known of drops.
#[derive(Debug)]
pub(super) struct Explained {
    reasons: Reasons,
    /// What was seen of netfilter's drops of what opens a connection; `None` before the first look.
    seen: Option<HashMap<DropKey, u64>>,
    conntrack: Option<Conntrack>,
    netfilter: HashMap<DropKey, Netfilter>,
    xdp: HashSet<DropKey>,
}

impl Explained {
    /// Nothing yet.
    pub(super) fn new(reasons: Reasons) -> Self {
        Self {
            reasons,
            seen: None,
            conntrack: conntrack().ok().flatten(),
            netfilter: HashMap::new(),
            xdp: HashSet::new(),
        }
    }

    /// Whether there is more to know of drops than their reason.
    pub(super) fn concerns(&self, key: &DropKey) -> bool {
        matches!(&*self.reasons.name(key.reason()), "NETFILTER_DROP" | UNNAMED)
    }

    /// Looks at what was dropped since the last time.
    pub(super) fn note(
        &mut self,
        drops: &[(DropKey, DropCounts)],
        last: impl Fn(&DropCounts) -> Option<Timestamp>,
        now: Timestamp,
    ) {
        self.note_netfilter(drops);
        let mut asked: BTreeMap<u32, bool> = BTreeMap::new();
        for (key, counts) in drops {
            // With a route it is TCP that had it, for instance a SYN again while the first is answered.
            let is_unnamed = key.opening()
                && key.received()
                && !key.routed()
                && &*self.reasons.name(key.reason()) == UNNAMED;
            let is_recent = || last(counts).is_some_and(|last| now.duration_since(last) <= RECENT);
            if is_unnamed && !self.xdp.contains(key) && is_recent() {
                let interface = counts.interface;
                if *asked.entry(interface).or_insert_with(|| runs_xdp(interface)) {
                    self.xdp.insert(*key);
                }
            }
        }
    }

    /// A full table of connections drops whatever would open one. It is asked only while netfilter drops
    /// such packets.
    fn note_netfilter(&mut self, drops: &[(DropKey, DropCounts)]) {
        let is_first = self.seen.is_none();
        let seen = self.seen.get_or_insert_default();
        let mut grown = Vec::new();
        let mut more = 0;
        for (key, counts) in drops {
            let opens = key.opening() || key.flow.transport() == Some(Transport::Udp);
            if opens && &*self.reasons.name(key.reason()) == "NETFILTER_DROP" {
                let before = seen.insert(*key, counts.packets).unwrap_or(0);
                if counts.packets > before {
                    more += counts.packets - before;
                    grown.push(*key);
                }
            }
        }
        if is_first || grown.is_empty() {
            return;
        }
        let now = conntrack().ok().flatten();
        let before = std::mem::replace(&mut self.conntrack, now).unwrap_or_default();
        let dropped = now.map_or(0, |now| now.dropped.saturating_sub(before.dropped));
        let is_full = now.is_some_and(|now| now.is_full());
        let part = match dropped {
            0 => None,
            _ if is_full && dropped >= more => Some(Netfilter::TableFull),
            _ => Some(Netfilter::Unclear),
        };
        for key in grown {
            match part {
                Some(part) => _ = self.netfilter.insert(key, part),
                None => _ = self.netfilter.remove(&key),
            }
        }
    }

    /// The reason of drops. Some that XDP does have none of their own.
    pub(super) fn reason(&self, key: &DropKey) -> Arc<str> {
        if self.xdp.contains(key) { XDP.into() } else { self.reasons.name(key.reason()) }
    }

    /// Which part of netfilter, other than its rules, dropped the last of them, or may have.
    pub(super) fn netfilter(&self, key: &DropKey) -> Option<Netfilter> {
        self.netfilter.get(key).copied()
    }

    /// Forgets drops that left the map.
    pub(super) fn forget(&mut self, key: &DropKey) {
        self.netfilter.remove(key);
        self.xdp.remove(key);
        if let Some(seen) = &mut self.seen {
            seen.remove(key);
        }
    }
}
