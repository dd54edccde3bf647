//! Datagrams to many machines of a network at once.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::observe::{FlowId, Transport};

/// Protocols by which machines look for each other: each of them sends to all machines of its network,
/// whoever they are. `NetBIOS` names and datagrams, SSDP, WS-Discovery, mDNS, LLMNR.
const TO_ALL: [u16; 6] = [137, 138, 1900, 3702, 5353, 5355];

/// Whether an address stands for many machines, in whatever network.
pub(super) fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
}

/// Whether an address stands for every machine of a network. A network of two has none.
pub(super) fn is_broadcast(net: IpNet, address: IpAddr) -> bool {
    matches!(net, IpNet::V4(v4) if v4.prefix_len() < 31 && IpAddr::V4(v4.broadcast()) == address)
}

/// Whether a machine that sends such datagrams need not mean this host: which address they were sent to
/// is not kept.
pub fn is_to_all(flow: &FlowId) -> bool {
    flow.transport == Transport::Udp && TO_ALL.contains(&flow.service_port)
}
