//! The usual networks of a test: the host with the daemon, and one peer, next to it or behind a router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Namespace;

/// The host, where the daemon watches.
pub const HOST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 1));
/// The host.
pub const HOST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 1));
/// The peer, which the configs of the tests declare.
pub const PEER4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 2));
/// The peer.
pub const PEER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 2));
/// The peer under an address that no config declares.
pub const GUEST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));
/// The same.
pub const GUEST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2));

/// Two namespaces joined by a pair of devices, `eth0` in each.
///
/// Nothing crosses by itself: neighbours are written down, and `ICMPv6` stays inside.
#[derive(Debug)]
pub struct Pair {
    /// Where the daemon watches.
    pub host: Namespace,
    /// The other machine.
    pub peer: Namespace,
}

impl Pair {
    /// A new one, with the offloads that such devices have.
    pub fn new() -> Self {
        let host = Namespace::new("host");
        let peer = Namespace::new("peer");
        join(&host, "eth0", HOST_MAC, &peer, "eth0", PEER_MAC);
        host.ip(&format!(
            "address add 10.20.0.1/24 dev eth0\n\
             address add 10.99.0.1/24 dev eth0\n\
             address add fd00:20::1/64 dev eth0 nodad\n\
             address add fd00:99::1/64 dev eth0 nodad\n\
             {}",
            neighbours("eth0", PEER_MAC, &[PEER4, PEER6, GUEST4, GUEST6]),
        ));
        peer.ip(&format!(
            "address add 10.20.0.2/24 dev eth0\n\
             address add 10.99.0.2/24 dev eth0\n\
             address add fd00:20::2/64 dev eth0 nodad\n\
             address add fd00:99::2/64 dev eth0 nodad\n\
             {}",
            neighbours("eth0", HOST_MAC, &[HOST4, HOST6, HOST_GUEST4, HOST_GUEST6]),
        ));
        Self { host, peer }
    }

    /// One whose devices do nothing for the kernel: every packet crosses as it is on a wire.
    pub fn without_offloads() -> Self {
        let pair = Self::new();
        for end in [&pair.host, &pair.peer] {
            end.ethtool("eth0", "tso off gso off gro off sg off tx off rx off");
        }
        pair
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// The peer behind a router; the configs of the tests declare it too.
pub const FAR4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 20, 0, 202));

/// A port of a machine.
pub const fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// The host, a router that is a firewall too, and a peer behind it. TCP has its usual timeouts.
#[derive(Debug)]
pub struct Routed {
    /// Where the daemon watches, at the router's `eth0`.
    pub host: Namespace,
    /// What stands in between.
    pub between: Namespace,
    /// The other machine, at the router's `eth1`.
    pub peer: Namespace,
}

impl Routed {
    /// A new one, that passes everything on.
    pub fn new() -> Self {
        let [host, between, peer] = ["host", "between", "peer"].map(Namespace::new);
        join(&host, "eth0", HOST_MAC, &between, "eth0", NEAR_MAC);
        join(&between, "eth1", FAR_MAC, &peer, "eth0", PEER_MAC);
        between.sysctl("net/ipv4/ip_forward", "1");
        let [near, far] = [[10, 20, 0, 126], [10, 20, 0, 254]].map(IpAddr::from);
        for (end, own, router, mac) in [(&host, HOST4, near, NEAR_MAC), (&peer, FAR4, far, FAR_MAC)]
        {
            end.usual_tcp();
            end.ip(&format!(
                "address add {own}/25 dev eth0\nroute add default via {router}\n{}",
                neighbours("eth0", mac, &[router]),
            ));
        }
        between.ip(&format!(
            "address add {near}/25 dev eth0\naddress add {far}/25 dev eth1\n{}{}",
            neighbours("eth0", HOST_MAC, &[HOST4]),
            neighbours("eth1", PEER_MAC, &[FAR4]),
        ));
        Self { host, between, peer }
    }
}

impl Default for Routed {
    fn default() -> Self {
        Self::new()
    }
}

/// The host, a peer at its `eth0`, and a container behind it at `veth1`. No address is translated yet.
#[derive(Debug)]
pub struct Hosting {
    /// Where the daemon watches.
    pub host: Namespace,
    /// The other machine.
    pub peer: Namespace,
    /// What the host passes packets on for.
    pub container: Namespace,
}

/// The container's address.
pub const CONTAINER4: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 2));

impl Hosting {
    /// A new one, that passes everything on.
    pub fn new() -> Self {
        let [host, peer, container] = ["host", "peer", "container"].map(Namespace::new);
        let gate = IpAddr::from([172, 30, 0, 1]);
        join(&host, "eth0", HOST_MAC, &peer, "eth0", PEER_MAC);
        join(&host, "veth1", NEAR_MAC, &container, "eth0", FAR_MAC);
        host.ip(&format!(
            "address add {HOST4}/24 dev eth0\naddress add {gate}/24 dev veth1\n{}{}",
            neighbours("eth0", PEER_MAC, &[PEER4]),
            neighbours("veth1", FAR_MAC, &[CONTAINER4]),
        ));
        peer.ip(&format!(
            "address add {PEER4}/24 dev eth0\n{}",
            neighbours("eth0", HOST_MAC, &[HOST4])
        ));
        container.ip(&format!(
            "address add {CONTAINER4}/24 dev eth0\n{}route add default via {gate}",
            neighbours("eth0", NEAR_MAC, &[gate]),
        ));
        host.sysctl("net/ipv4/ip_forward", "1");
        Self { host, peer, container }
    }
}

impl Default for Hosting {
    fn default() -> Self {
        Self::new()
    }
}

const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 4];

/// The hardware address of the host's end.
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The hardware address of the peer's end.
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

const HOST_GUEST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
const HOST_GUEST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1));

/// Joins two namespaces by a pair of devices that say nothing by themselves.
pub fn join(
    a: &Namespace,
    device_a: &str,
    mac_a: [u8; 6],
    b: &Namespace,
    device_b: &str,
    mac_b: [u8; 6],
) {
    for namespace in [a, b] {
        namespace.quiet();
    }
    let (text_a, text_b) = (mac(mac_a), mac(mac_b));
    a.ip(&format!(
        "link add {device_a} address {text_a} type veth peer name {device_b} address {text_b} netns {}\n\
         link set {device_a} addrgenmode none\n\
         link set {device_a} up",
        b.name(),
    ));
    b.ip(&format!("link set {device_b} addrgenmode none\nlink set {device_b} up"));
}

/// Lines of `ip` that write down where the addresses are.
pub fn neighbours(device: &str, at: [u8; 6], addresses: &[IpAddr]) -> String {
    let line = |address| {
        format!("neighbour replace {address} lladdr {} dev {device} nud permanent\n", mac(at))
    };
    addresses.iter().map(line).collect()
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
