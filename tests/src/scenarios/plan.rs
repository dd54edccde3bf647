//! What a scenario is: all of it follows from its seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fastrand::Rng;

use super::steps::{self, Kind, Step};

/// How many scenarios fit one network.
pub(crate) const MOST: usize = 200;

/// Where the service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// On this host.
    Server,
    /// At the peer.
    Client,
}

/// How addresses or ports change on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    None,
    /// The host redirects the port to the one where its service listens.
    Redirect,
    /// The host publishes a port of its container.
    Published,
    /// The host asks for another address, and its firewall puts the peer's in its place.
    Destination,
    /// The peer is behind a router, which masquerades it and passes its service's port on.
    Router,
}

/// A documented flow.
#[derive(Debug)]
pub(crate) struct Documented {
    pub(crate) flow: &'static str,
    pub(crate) side: Side,
    product: &'static str,
    role: &'static str,
    section: &'static str,
    peers: &'static str,
}

const FLOWS: &[Documented] = &[
    Documented {
        flow: "agent-50051",
        side: Side::Server,
        product: "ibm-backup-recovery",
        role: "physical-server",
        section: "physical_server_backup",
        peers: "cluster",
    },
    Documented {
        flow: "backup-32004",
        side: Side::Server,
        product: "gigavault-storage",
        role: "server",
        section: "tcp_port_32004",
        peers: "client",
    },
    Documented {
        flow: "mssql-vdi-11113",
        side: Side::Client,
        product: "ibm-backup-recovery",
        role: "ms-sql-server",
        section: "ms_sql_servers",
        peers: "cluster",
    },
    Documented {
        flow: "backup-32004",
        side: Side::Client,
        product: "gigavault-storage",
        role: "client",
        section: "tcp_port_32004",
        peers: "server",
    },
];

/// What happens to one flow of the host.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// The last part of its peer's address.
    pub(crate) number: u16,
    pub(crate) flow: &'static Documented,
    pub(crate) is_ipv6: bool,
    pub(crate) translation: Translation,
    pub(crate) steps: Vec<Step>,
}

/// Networks of the scenarios.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Net {
    /// Where the host is, and peers that nothing translates.
    Near,
    /// Behind the router.
    Behind,
    /// Addresses that nobody has.
    Nobody,
    /// Containers.
    Containers,
}

/// An address there.
pub(crate) fn address(net: Net, is_ipv6: bool, number: u16) -> IpAddr {
    let (v4, v6) = match net {
        Net::Near => (20, 0x20),
        Net::Behind => (21, 0x21),
        Net::Nobody => (99, 0x99),
        Net::Containers => (30, 0x30),
    };
    if is_ipv6 {
        Ipv6Addr::new(0xfd00, v6, 0, 0, 0, 0, 0, number).into()
    } else {
        Ipv4Addr::new(10, v4, 0, u8::try_from(number).unwrap()).into()
    }
}

/// The host.
pub(crate) const HOST: u16 = 1;
/// The router, and what is behind it for all others.
pub(crate) const ROUTER: u16 = 254;
/// A stranger.
pub(crate) const STRANGER: u16 = 253;
/// The first of the peers.
pub(crate) const FIRST: u16 = 2;

/// Source ports of a kind of attempts: firewalls tell them by these.
pub(crate) const fn ports(kind: Kind) -> (u16, u16) {
    let first = 23_000 + 2000 * (kind as u16);
    (first, first + 1999)
}

impl Scenario {
    /// The scenario of a seed, with a place of its own among those that run beside it.
    pub(crate) fn new(seed: u64, number: u16, is_healthy: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let flow = random.choice(FLOWS).unwrap();
        let translations: &[Translation] = match flow.side {
            Side::Server => &[
                Translation::None,
                Translation::Redirect,
                Translation::Published,
                Translation::Router,
            ],
            Side::Client => &[Translation::None, Translation::Destination, Translation::Router],
        };
        Self {
            seed,
            number,
            flow,
            is_ipv6: random.bool(),
            translation: *random.choice(translations).unwrap(),
            steps: if is_healthy {
                steps::healthy(&mut random, flow.side)
            } else {
                steps::mixed(&mut random, flow.side)
            },
        }
    }

    /// The name of its system.
    pub(crate) fn system(&self) -> String {
        format!("s{}", self.number)
    }

    /// The port of its service.
    pub(crate) const fn port(&self) -> u16 {
        20_000 + self.number
    }

    /// The port where the service listens.
    pub(crate) const fn listens(&self) -> u16 {
        let is_hidden = matches!(self.translation, Translation::Redirect | Translation::Published);
        if is_hidden { self.port() + 1000 } else { self.port() }
    }

    /// An address of its family.
    pub(crate) fn address(&self, net: Net, number: u16) -> IpAddr {
        address(net, self.is_ipv6, number)
    }

    /// The peer as the host sees it.
    pub(crate) fn peer(&self) -> IpAddr {
        let number = if self.translation == Translation::Router { ROUTER } else { self.number };
        self.address(Net::Near, number)
    }

    /// The peer as it sees itself.
    pub(crate) fn peer_itself(&self) -> IpAddr {
        let net = if self.translation == Translation::Router { Net::Behind } else { Net::Near };
        self.address(net, self.number)
    }

    /// Where the asker believes the service to be.
    pub(crate) fn asked(&self) -> SocketAddr {
        let address = match (self.flow.side, self.translation) {
            (Side::Server, _) => self.address(Net::Near, HOST),
            (Side::Client, Translation::Destination) => self.address(Net::Nobody, self.number),
            (Side::Client, _) => self.peer(),
        };
        SocketAddr::new(address, self.port())
    }

    /// The asker's port in a step.
    pub(crate) fn asks_from(&self, kind: Kind, step: usize) -> u16 {
        let place = (self.number - FIRST) * steps::MOST + u16::try_from(step).unwrap();
        ports(kind).0 + place
    }

    /// Its part of the config.
    pub(crate) fn config(&self) -> String {
        let Documented { flow, product, role, section, peers, .. } = self.flow;
        format!(
            "[[system]]\nname = \"{}\"\nproduct = \"{product}\"\nroles = [\"{role}\"]\n\
             sections = [\"{section}\"]\npeers.{peers} = [\"{}\"]\n\
             [system.ports]\n\"{flow}\" = {}\n[[system.expect]]\nflow = \"{flow}\"\nwithin = \"never\"\n",
            self.system(),
            self.peer(),
            self.port(),
        )
    }
}
