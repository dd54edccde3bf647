//! What should be seen: the flows of the catalog that concern this host, and which observed flow
//! belongs to which.

mod derive;
mod documented;
mod index;
mod lan;
mod matching;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use catalog::{Ports, Requirement};
use serde::{Deserialize, Serialize};

pub use derive::{DAILY, SELF, documented_ports, expectations, of_system};
pub use lan::is_to_all;
pub use matching::{Match, Matcher, Names, OTHER, Stranger, is_resolved};

use crate::{
    config::{Due, Peer},
    observe::{Side, Transport, side_name},
};

/// One flow of the catalog, seen from this host, with one group of peers.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What tells it from the others.
    pub key: Key,
    /// Whether it is really expected.
    pub standing: Standing,
    /// The transports that the document allows.
    pub transports: BTreeSet<Transport>,
    /// The service ports, with the config's changes.
    pub ports: BTreeSet<Ports>,
    /// The documented service ports, where the config has another one.
    pub former_ports: BTreeSet<Ports>,
    /// How the document puts it.
    pub requirement: Requirement,
    /// What the flow is for.
    pub purpose: String,
    /// Who the peers are.
    pub peers: Peers,
    /// The flow never leaves the host.
    pub same_host: bool,
    /// A firewall between the ends needs a rule for it.
    pub firewall: bool,
    /// Its datagrams need no answer.
    pub one_way: bool,
    /// Its datagrams may go to a multicast or broadcast address, which stands for all peers.
    pub multicast: bool,
    /// Each of the peers has to be reached, not just any.
    pub every_member: bool,
    /// Name of those with the same system and peers of which one is enough.
    pub alternatives: Option<String>,
    /// When the flow has to be seen.
    pub due: Due,
}

/// Whether a flow is expected, or only recognised when it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is expected.
    Expected,
    /// Only older versions use it.
    Legacy,
    /// Another flow took its place, with an option that the config switches on.
    Replaced,
}

/// What tells one expectation from all others of a config.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Anyone: the config leaves the group open, and the document names nobody.
    Any,
    /// As the config lists them.
    Declared(Vec<Peer>),
    /// As the document names them, where the config leaves the group open.
    Documented(Vec<Peer>),
}

impl Peers {
    /// The list; `None` for anyone.
    pub fn listed(&self) -> Option<&[Peer]> {
        match self {
            Self::Any => None,
            Self::Declared(peers) | Self::Documented(peers) => Some(peers),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, product: _, flow, side, peer_group } = self;
        write!(f, "{system}: {flow} ({} of {peer_group})", side_name(*side))
    }
}

impl Expectation {
    /// Whether a port without a number makes the flow impossible to judge.
    pub fn is_judgeable(&self) -> bool {
        self.ports.iter().any(|ports| matches!(ports, Ports::Range { .. }))
    }
}
