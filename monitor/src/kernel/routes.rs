//! The route to an address, as the kernel would choose it now.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kernel says many things of a route")]

use std::{io, net::IpAddr};

use rtnetlink::packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteVia},
};

use super::netlink::ask;

/// A route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Index of the device that it goes out by.
    pub interface: u32,
    /// The next machine on the way, unless it is the address itself.
    pub gateway: Option<IpAddr>,
}

/// What a route is asked for: each of these can choose another one.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Where to.
    pub peer: IpAddr,
    /// This host's address, where it is settled already.
    pub own: Option<IpAddr>,
    /// The mark of the socket, 0 for none.
    pub mark: u32,
    /// Index of the device that the socket is bound to, 0 for none.
    pub interface: u32,
}

impl Way {
    /// To a peer, and nothing else is settled.
    pub const fn to(peer: IpAddr) -> Self {
        Self { peer, own: None, mark: 0, interface: 0 }
    }
}

/// Asks the kernel for the route to an address.
///
/// # Errors
///
/// The error with which an attempt to send there would fail (`ENETUNREACH`, `EHOSTUNREACH`, …), or that of
/// asking.
pub fn route_to(way: &Way) -> io::Result<Found> {
    let mut route = RouteMessage::default();
    (route.header.address_family, route.header.destination_prefix_length) = match way.peer {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    route.attributes.push(RouteAttribute::Destination(way.peer.into()));
    if let Some(own) = way.own {
        route.header.source_prefix_length = route.header.destination_prefix_length;
        route.attributes.push(RouteAttribute::Source(own.into()));
    }
    if way.mark != 0 {
        route.attributes.push(RouteAttribute::Mark(way.mark));
    }
    if way.interface != 0 {
        route.attributes.push(RouteAttribute::Oif(way.interface));
    }
    match ask(RouteNetlinkMessage::GetRoute(route))? {
        RouteNetlinkMessage::NewRoute(route) => Ok(found(&route)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn found(route: &RouteMessage) -> Found {
    let mut found = Found::default();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.interface = *index,
            RouteAttribute::Gateway(RouteAddress::Inet(address))
            | RouteAttribute::Via(RouteVia::Inet(address)) => {
                found.gateway = Some((*address).into());
            }
            RouteAttribute::Gateway(RouteAddress::Inet6(address))
            | RouteAttribute::Via(RouteVia::Inet6(address)) => {
                found.gateway = Some((*address).into());
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn own_addresses_are_reached_by_loopback() {
        let loopback = Found { interface: 1, gateway: None };
        assert_eq!(route_to(&Way::to(Ipv4Addr::LOCALHOST.into())).unwrap(), loopback);
        assert_eq!(route_to(&Way::to(Ipv6Addr::LOCALHOST.into())).unwrap(), loopback);
    }
}
