//! How much a port tells about who uses it.

use std::collections::BTreeSet;

use catalog::Ports;

use super::{Evidence, ports};
use crate::{
    expect::Expectation,
    observe::{PortSet, Transport},
};

/// How much a port tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// Nothing: hosts without any backup use it too.
    Weak,
    /// Little: it is the usual port of other software.
    Shared,
    /// That the product is there.
    Telling,
}

/// Ports below are those of the protocols that every network has: DNS, HTTP, SSH, SMB.
const FIRST_REGISTERED: u16 = 1024;

/// The same from 1024 on: NFS, its lock manager and its other helpers, and multicast DNS.
const INFRASTRUCTURE: &[u16] = &[2049, 4040, 4045, 4046, 5353];

/// Usual ports of software that is on many hosts without any of the products: databases, and what else is
/// backed up, web servers, proxies, remote consoles, storage protocols.
const SHARED: &[u16] = &[
    1433, 1434, 2181, 2222, 3000, 3001, 3022, 3023, 3024, 3025, 3080, 3205, 3260, 5696, 5900, 5986,
    6060, 6061, 7000, 7001, 7080, 7199, 7443, 8009, 8020, 8080, 8086, 8087, 8443, 8983, 9042, 9083,
    9160, 9292, 9294, 9440, 9864, 9865, 9866, 9870, 9871, 11111, 20000, 22222, 27017, 27018, 27019,
];

/// A range of more ports says nothing of any one of them.
const NARROW: u16 = 16;

pub(super) fn strength(port: u16) -> Strength {
    if port < FIRST_REGISTERED || INFRASTRUCTURE.contains(&port) {
        Strength::Weak
    } else if SHARED.contains(&port) {
        Strength::Shared
    } else {
        Strength::Telling
    }
}

/// Whether a flow has ports that can be recognised: a flow over a wide range has none.
pub(super) fn is_recognisable(ports: Ports) -> bool {
    match ports {
        Ports::Range { first, last } => last - first < NARROW,
        Ports::Dynamic => false,
    }
}

/// Whether one of an expectation's ports is this one.
pub(super) fn has_port(expectation: &Expectation, port: u16) -> bool {
    expectation.ports.iter().copied().all(is_recognisable)
        && expectation.ports.iter().any(|ports| match ports {
            Ports::Range { first, last } => (*first..=*last).contains(&port),
            Ports::Dynamic => false,
        })
}

/// Every port of the catalog by which something can be recognised.
pub fn documented_ports() -> PortSet {
    let mut set = PortSet::default();
    let flows = catalog::bundled().products.iter().flat_map(|product| &product.flows);
    for row in flows.flat_map(catalog::Flow::rows) {
        for ports in row.ports.iter().copied().filter(|ports| is_recognisable(*ports)) {
            let Ports::Range { first, last } = ports else { continue };
            for transport in row.transport {
                let transport = match transport {
                    catalog::Transport::Tcp => Transport::Tcp,
                    catalog::Transport::Udp => Transport::Udp,
                };
                (first..=last).for_each(|port| set.insert(transport, port));
            }
        }
    }
    set
}

/// Ports in use that are documented and that other software uses too, so that they decide nothing.
pub fn shared(evidence: &Evidence) -> BTreeSet<String> {
    let documented = documented_ports();
    ports::uses(evidence)
        .into_iter()
        .filter(|(used, _)| {
            documented.contains(used.transport, used.port)
                && strength(used.port) == Strength::Shared
        })
        .map(|(used, _)| used.to_string())
        .collect()
}
