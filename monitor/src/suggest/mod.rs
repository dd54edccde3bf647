//! A first config, from what the host's sockets and packets show.
//!
//! Pure: the same evidence gives the same proposal.
//!
//! Ports tell more or less about who uses them (`strength`). The evidence is put together by port
//! (`ports`), the roles are chosen that explain it (`roles`), the addresses become peers (`peers`),
//! and all of it is put in words (`words`, `toml`).

mod peers;
mod ports;
mod propose;
mod roles;
mod strength;
#[cfg(test)]
mod tests;
mod toml;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;

pub use propose::proposals;
pub use strength::{documented_ports, shared};
pub use toml::render;

use crate::observe::{FlowId, Transport};

/// What is known of this host.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Sockets that wait for peers.
    pub listeners: Vec<Listener>,
    /// Flows on documented ports.
    pub flows: BTreeMap<FlowId, Seen>,
    /// For how many seconds packets were counted too, where they were.
    pub watched: Option<u64>,
}

/// A socket that waits for peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub transport: Transport,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The process that holds it, where that was found.
    pub process: Option<String>,
}

/// What was seen of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many connections there are.
    pub connections: u64,
    /// How many connections were opened while packets were counted.
    pub opened: u64,
    /// How many packets were counted.
    pub packets: u64,
}

/// One `[[system]]`, with the reasons for each of its lines.
#[derive(Clone, Debug, Serialize)]
pub struct Proposal {
    /// Id of the product.
    pub product: String,
    /// The product, as its vendor calls it.
    pub name: String,
    /// Why the whole of it is less certain than others.
    pub doubt: Option<String>,
    /// What this host is; never empty.
    pub roles: Vec<ProposedRole>,
    /// Other roles that explain what the first ones do, with what they are.
    pub alternatives: BTreeMap<String, String>,
    /// Id of the scenario, where the product has some.
    pub scenario: Option<String>,
    /// The scenarios that fit as well, so that the one proposed is a guess.
    pub scenario_alternatives: BTreeMap<String, String>,
    /// What seems to be switched on in the product.
    pub options: Vec<ProposedOption>,
    /// The machines that were seen, by role and address, with what was seen of each.
    pub peers: BTreeMap<String, BTreeMap<IpAddr, BTreeSet<String>>>,
    /// Machines that were seen and may be of one role or another.
    pub undecided: Vec<Undecided>,
    /// Roles of peers of which no machine was seen.
    pub open: Vec<String>,
}

/// A role that this host seems to play.
#[derive(Clone, Debug, Serialize)]
pub struct ProposedRole {
    /// Its id.
    pub role: String,
    /// What it is.
    pub name: String,
    /// What it explains.
    pub because: Vec<String>,
}

/// Something that seems to be switched on.
#[derive(Clone, Debug, Serialize)]
pub struct ProposedOption {
    /// Its id.
    pub option: String,
    /// What is the case when it is on.
    pub name: String,
    /// Why it seems so.
    pub because: String,
}

/// Machines of which it is not known what they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// What they may be.
    pub roles: BTreeSet<String>,
    /// Their addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// What was seen of them, and why that does not decide.
    pub because: String,
}
