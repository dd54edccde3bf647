//! What is exported, and the network to try it in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;
use serde::Deserialize;
use tests::{
    HOST4, HOST6, PEER4, PEER6, Pair,
    net::{HOST_MAC, PEER_MAC, neighbours},
};

use crate::export::probe::{Probe, Transport, Way};

/// A client or service that no config names.
const STRANGERS: [IpAddr; 2] = [in_v4(2), in_v6(2)];
/// The host's addresses in the strangers' network.
const HOST_BESIDE: [IpAddr; 2] = [in_v4(1), in_v6(1)];

const fn in_v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
}

const fn in_v6(host: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host))
}

/// The JSON, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub(super) struct Export {
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[expect(dead_code, reason = "shown where a test fails")]
    flow: String,
    direction: Direction,
    transports: Vec<Transport>,
    ports: Vec<Ports>,
    peers: Vec<String>,
    open: bool,
    same_host: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ports {
    One(u16),
    Range(String),
}

impl Ports {
    fn ends(&self) -> (u16, u16) {
        match self {
            Self::One(port) => (*port, *port),
            Self::Range(text) => {
                let (first, last) = text.split_once('-').unwrap();
                (first.parse().unwrap(), last.parse().unwrap())
            }
        }
    }
}

impl Rule {
    fn way(&self) -> Way {
        match self.direction {
            _ if self.same_host => Way::Within,
            Direction::In => Way::In,
            Direction::Out => Way::Out,
        }
    }

    fn opens(&self, way: Way, transport: Transport, port: u16) -> bool {
        self.way() == way
            && self.transports.contains(&transport)
            && self.ports.iter().any(|ports| (ports.ends().0..=ports.ends().1).contains(&port))
    }
}

/// The addresses that peers have in the test.
pub(super) struct Network {
    /// Of the names.
    names: BTreeMap<String, [IpAddr; 2]>,
    /// Of the networks: one of each.
    machines: BTreeSet<IpAddr>,
}

impl Network {
    pub(super) fn of(export: &Export) -> Self {
        let peers: BTreeSet<&String> = export.rules.iter().flat_map(|rule| &rule.peers).collect();
        let (networks, names): (Vec<_>, Vec<_>) =
            peers.into_iter().partition(|peer| machine(peer).is_some());
        Self {
            names: names
                .into_iter()
                .zip(10..)
                .map(|(name, n)| (name.clone(), [in_v4(n), in_v6(n.into())]))
                .collect(),
            machines: networks.into_iter().filter_map(|peer| machine(peer)).collect(),
        }
    }

    /// Gives the peer all these addresses, and tells the host where they are.
    pub(super) fn make(&self, pair: &Pair) {
        pair.host.ip("address add 192.0.2.1/24 dev eth0\n\
                      address add 2001:db8::1/64 dev eth0 nodad");
        pair.peer.ip(&neighbours("eth0", HOST_MAC, &HOST_BESIDE));
        let all = self.machines.iter().chain(self.names.values().flatten()).chain(&STRANGERS);
        for &address in all.filter(|address| ![PEER4, PEER6].contains(address)) {
            let (bits, flags) = if address.is_ipv4() { (32, "") } else { (128, "nodad") };
            pair.peer.ip(&format!("address add {address}/{bits} dev eth0 {flags}"));
            pair.host.ip(&format!("route replace {address}/{bits} dev eth0"));
            pair.host.ip(&neighbours("eth0", PEER_MAC, &[address]));
        }
    }

    /// Lines of `nft` that put the addresses of the names in their sets.
    pub(super) fn elements(&self) -> String {
        let mut lines = String::new();
        for (name, [v4, v6]) in &self.names {
            for (set, address) in [("peer4", v4), ("peer6", v6)] {
                _ = writeln!(lines, "add element inet filter {set}-{name} {{ {address} }}");
            }
        }
        lines
    }

    /// Addresses of the peers of a rule, each kind of peer at least once.
    fn peers(&self, rule: &Rule) -> BTreeSet<IpAddr> {
        if rule.open {
            return STRANGERS.into();
        }
        let of_peer = |peer: &String| match machine(peer) {
            Some(address) => vec![address],
            None => self.names[peer].to_vec(),
        };
        rule.peers.iter().flat_map(of_peer).collect()
    }

    /// What a rule has to let through: the first, a middle and the last port of each range.
    pub(super) fn needed(&self, rule: &Rule) -> Vec<Probe> {
        let ports: BTreeSet<u16> = rule
            .ports
            .iter()
            .map(Ports::ends)
            .flat_map(|(first, last)| [first, first.midpoint(last), last])
            .collect();
        probes(rule, &rule.transports, &self.peers(rule), |_| ports.clone())
    }

    /// What nothing may let through: from and to the peers a port beside each range, and the range
    /// over the other transport; from and to a stranger the range itself.
    pub(super) fn beside(&self, rules: &[Rule], rule: &Rule) -> Vec<Probe> {
        let way = rule.way();
        let peers = self.peers(rule);
        let is_free =
            |transport, port: &u16| !rules.iter().any(|rule| rule.opens(way, transport, *port));
        let last = || rule.ports.iter().map(|ports| ports.ends().1);
        let mut beside = probes(rule, &rule.transports, &peers, |transport| {
            let ends = rule.ports.iter().map(Ports::ends);
            ends.map(|(first, last)| {
                let mut candidates = (last..=u16::MAX).chain((1..first).rev());
                candidates.find(|port| is_free(transport, port)).unwrap()
            })
            .collect()
        });
        beside.extend(probes(rule, &[Transport::Tcp, Transport::Udp], &peers, |transport| {
            last().filter(|port| is_free(transport, port)).collect()
        }));
        if way != Way::Within {
            let for_anyone = |transport, port| {
                rules.iter().any(|rule| rule.open && rule.opens(way, transport, port))
            };
            beside.extend(probes(rule, &rule.transports, &STRANGERS.into(), |transport| {
                last().filter(|port| !for_anyone(transport, *port)).collect()
            }));
        }
        beside
    }
}

/// A machine in a network; none of a name.
fn machine(peer: &str) -> Option<IpAddr> {
    if let Ok(address) = peer.parse() {
        return Some(address);
    }
    match peer.parse().ok()? {
        IpNet::V4(network) => network.hosts().nth(1).map(IpAddr::V4),
        IpNet::V6(network) => network.hosts().nth(2).map(IpAddr::V6),
    }
}

fn host_for(peer: IpAddr) -> IpAddr {
    if peer.is_ipv4() { HOST4 } else { HOST6 }
}

fn probes(
    rule: &Rule,
    transports: &[Transport],
    peers: &BTreeSet<IpAddr>,
    ports: impl Fn(Transport) -> BTreeSet<u16>,
) -> Vec<Probe> {
    let ends: Vec<(IpAddr, IpAddr)> = match rule.way() {
        Way::Within => [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]
            .map(|address| (address, address))
            .into(),
        Way::In => peers.iter().map(|peer| (*peer, host_for(*peer))).collect(),
        Way::Out => peers.iter().map(|peer| (host_for(*peer), *peer)).collect(),
    };
    let mut probes = Vec::new();
    for transport in transports {
        for port in ports(*transport) {
            probes.extend(ends.iter().map(|(client, service)| Probe {
                way: rule.way(),
                transport: *transport,
                service: SocketAddr::new(*service, port),
                client: *client,
            }));
        }
    }
    probes
}
