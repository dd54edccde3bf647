//! What was counted of a flow where packets pass.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Counters, Side, subtract};

/// What was seen of a flow on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// From the peer to this host.
    pub received: Counters,
    /// From this host to the peer.
    pub transmitted: Counters,
    /// How many of the transmitted packets the host only passed on.
    pub forwarded: u64,
    /// When the last packet came from the peer.
    pub last_received: Option<Timestamp>,
    /// When the last packet left for the peer.
    pub last_transmitted: Option<Timestamp>,
    /// Where connections of the flow were last seen to open, where it has a name.
    pub interface: Option<Arc<str>>,
}

impl Wire {
    /// When the last packet was seen in either direction.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.last_received.max(self.last_transmitted)
    }

    /// What goes to the service, from the side that this host is on.
    pub const fn requests(&self, side: Side) -> &Counters {
        match side {
            Side::Client => &self.transmitted,
            Side::Server => &self.received,
        }
    }

    /// What comes from the service.
    pub const fn answers(&self, side: Side) -> &Counters {
        match side {
            Side::Client => &self.received,
            Side::Server => &self.transmitted,
        }
    }

    /// When the last packet went to the service.
    pub const fn last_request(&self, side: Side) -> Option<Timestamp> {
        match side {
            Side::Client => self.last_transmitted,
            Side::Server => self.last_received,
        }
    }

    /// When the last packet came from the service.
    pub const fn last_answer(&self, side: Side) -> Option<Timestamp> {
        match side {
            Side::Client => self.last_received,
            Side::Server => self.last_transmitted,
        }
    }

    /// Packets in both directions.
    pub const fn packets(&self) -> u64 {
        self.received.packets + self.transmitted.packets
    }

    /// What was counted since the counts were these.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        subtract(&mut since.received, &before.received);
        subtract(&mut since.transmitted, &before.transmitted);
        since
    }
}

/// What sockets of this host got and sent of a flow; bytes begin with the IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sockets {
    /// What they got.
    pub received: Counters,
    /// What they sent.
    pub transmitted: Counters,
}
