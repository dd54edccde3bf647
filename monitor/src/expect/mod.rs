//! What should be seen: the flows of the catalog that concern this host, and which observed flow
//! belongs to which.

mod derive;
mod matching;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use catalog::{Ports, Requirement};
use jiff::SignedDuration;

pub use derive::{documented_ports, expectations};
pub use matching::{Match, Matcher, Names, OTHER, Stranger};

use crate::{
    config::Peer,
    observe::{Side, Transport, side_name},
};

/// One flow of the catalog, seen from this host, with one group of peers.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What tells it from the others.
    pub key: Key,
    /// The transports that the document allows.
    pub transports: BTreeSet<Transport>,
    /// The service ports, with the config's changes.
    pub ports: Vec<Ports>,
    /// How the document puts it.
    pub requirement: Requirement,
    /// What the flow is for.
    pub purpose: String,
    /// Who the peers are.
    pub peers: Peers,
    /// The flow never leaves the host.
    pub same_host: bool,
    /// How often the flow has to be seen, where that is known.
    pub within: Option<SignedDuration>,
}

/// What tells one expectation from all others of a config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Name of the system.
    pub system: String,
    /// Id of the product.
    pub product: String,
    /// Id of the flow.
    pub flow: String,
    /// Which end this host is.
    pub side: Side,
    /// Role of the peers.
    pub peer_group: String,
}

/// The peers of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// The config leaves the group open.
    Any,
    /// As the config lists them.
    Declared(Vec<Peer>),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, product: _, flow, side, peer_group } = self;
        write!(f, "{system}: {flow} ({} of {peer_group})", side_name(*side))
    }
}

impl Expectation {
    /// Whether the document has the flow only as something that older versions used.
    pub fn is_legacy(&self) -> bool {
        self.requirement == Requirement::Legacy
    }

    /// Whether a port without a number makes the flow impossible to judge.
    pub fn is_judgeable(&self) -> bool {
        self.ports.iter().any(|ports| matches!(ports, Ports::Range { .. }))
    }
}
