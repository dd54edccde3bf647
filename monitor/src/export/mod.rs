//! The firewall rules that open exactly what the roles of a config need, in several forms.

mod firewalld;
mod json;
mod markdown;
mod nftables;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use catalog::{Ports, Scope};
use ipnet::IpNet;

pub use firewalld::firewalld;
pub use json::json;
pub use markdown::markdown;
pub use nftables::{Form, nftables};

use crate::{
    config::{Config, Peer},
    expect::{Expectation, Peers, Standing, expectations},
    observe::Side,
};

/// What of a config is opened, and what is not.
#[derive(Debug)]
pub struct Plan {
    rules: Vec<Rule>,
    not_opened: Vec<NotOpened>,
}

/// What is opened for an expectation.
#[derive(Debug)]
struct Rule {
    expectation: Expectation,
    /// Those with a number, in order, none within another.
    ports: BTreeSet<Ports>,
    /// The sections that speak of it: document and section.
    sections: BTreeSet<(String, String)>,
}

/// Something that no rule opens, or none until somebody adds to it.
#[derive(Debug)]
struct NotOpened {
    expectation: Expectation,
    reason: Reason,
}

/// Why something is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Legacy,
    Replaced,
    NoRuleNeeded,
    NoNumber,
    /// The rule is there, the addresses of these peers are not.
    Names(Vec<Peer>),
}

impl Plan {
    /// Of a config.
    pub fn new(config: &Config) -> Self {
        let mut plan = Self { rules: Vec::new(), not_opened: Vec::new() };
        for expectation in expectations(config) {
            let mut leave = |reason| {
                plan.not_opened.push(NotOpened { expectation: expectation.clone(), reason });
            };
            match expectation.standing {
                Standing::Legacy => leave(Reason::Legacy),
                Standing::Replaced => leave(Reason::Replaced),
                Standing::Expected if !expectation.firewall => leave(Reason::NoRuleNeeded),
                Standing::Expected => {
                    if expectation.ports.contains(&Ports::Dynamic) {
                        leave(Reason::NoNumber);
                    }
                    if expectation.is_judgeable() {
                        let names: Vec<Peer> = names(&expectation).cloned().collect();
                        if !names.is_empty() {
                            leave(Reason::Names(names));
                        }
                        let ports = merged(&expectation.ports);
                        let sections = sections(config, &expectation);
                        plan.rules.push(Rule { expectation, ports, sections });
                    }
                }
            }
        }
        plan
    }

    /// Every peer that is given by a name, once.
    fn names(&self) -> BTreeSet<&Peer> {
        self.rules.iter().flat_map(|rule| names(&rule.expectation)).collect()
    }
}

impl Rule {
    /// The networks of the peers, none within another.
    fn networks(&self) -> Vec<IpNet> {
        let networks = self.listed().iter().filter_map(|peer| match peer {
            Peer::Net(network) => Some(*network),
            Peer::Name(_) | Peer::Below(_) => None,
        });
        IpNet::aggregate(&networks.collect())
    }

    fn listed(&self) -> &[Peer] {
        self.expectation.peers.listed().unwrap_or_default()
    }

    /// Whether anyone is let through, though the flow leaves the host.
    fn is_open(&self) -> bool {
        self.expectation.peers == Peers::Any && !self.expectation.same_host
    }

    fn is_inbound(&self) -> bool {
        self.expectation.key.side == Side::Server
    }
}

impl Reason {
    const fn code(&self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Replaced => "replaced",
            Self::NoRuleNeeded => "no-rule-needed",
            Self::NoNumber => "no-number",
            Self::Names(_) => "names",
        }
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Legacy => f.write_str("only old versions use it"),
            Reason::Replaced => {
                f.write_str("another flow takes its place, by an option in the config")
            }
            Reason::NoRuleNeeded => f.write_str("the document asks for no firewall rule"),
            Reason::NoNumber => {
                let flow = &self.expectation.key.flow;
                write!(f, "the document gives no number: set `ports.{flow} = N` in the config")
            }
            Reason::Names(peers) => {
                let names: Vec<String> = peers.iter().map(ToString::to_string).collect();
                write!(f, "the rule waits for the addresses of {}", names.join(", "))
            }
        }
    }
}

/// The expectation in a few words: at most 128 bytes, which nftables allows a comment.
fn comment(expectation: &Expectation) -> String {
    expectation.key.to_string().chars().filter(char::is_ascii).take(128).collect()
}

fn names(expectation: &Expectation) -> impl Iterator<Item = &Peer> {
    let listed = expectation.peers.listed().unwrap_or_default();
    listed.iter().filter(|peer| !matches!(peer, Peer::Net(_)))
}

/// The ranges, put together where they overlap.
fn merged(ports: &BTreeSet<Ports>) -> BTreeSet<Ports> {
    let mut merged: Vec<(u16, u16)> = Vec::new();
    for ports in ports {
        let Ports::Range { first, last } = *ports else { continue };
        match merged.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged.into_iter().map(|(first, last)| Ports::Range { first, last }).collect()
}

fn sections(config: &Config, expectation: &Expectation) -> BTreeSet<(String, String)> {
    let key = &expectation.key;
    let system = config.systems.iter().find(|system| system.name == key.system);
    let flow = system.and_then(|system| Some((system, system.product.flow(&key.flow)?)));
    let Some((system, flow)) = flow else { return BTreeSet::new() };
    let scope = Scope {
        sections: &system.sections,
        scenario: system.scenario.as_deref(),
        options: &system.options,
    };
    system
        .product
        .rows_in(flow, scope)
        .filter(|row| {
            let mut roles = row.from.iter().chain(row.to);
            expectation.same_host || roles.any(|role| *role == key.peer_group)
        })
        .map(|row| (row.source.document.clone(), row.source.section.clone()))
        .collect()
}

/// The name of a set for the addresses of a peer's name: the same in every export, of at most that
/// many characters, and another for every peer.
fn set_name(prefix: &str, peer: &Peer, most: usize) -> String {
    // No host name has an underscore.
    let name = format!("{prefix}{peer}").replace('*', "_");
    if name.len() <= most {
        return name;
    }
    // FNV-1a.
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let start: String = name.chars().take(most - 9).collect();
    format!("{start}-{hash:08x}")
}
