//! Connections that are open already: the host's sockets tell which side of them it is.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr},
};

use monitor_common::{FlowKey, Side, Transport};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

use super::Error;
use crate::observe::PortSet;

/// One TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Connection {
    local: SocketAddr,
    remote: SocketAddr,
}

/// The flows that the host's open TCP connections on documented ports belong to.
pub fn open_flows(documented: &PortSet) -> Result<Vec<FlowKey>, Error> {
    let listening = dump(StateFlags::LISTEN).map_err(listing)?;
    let listening = listening.into_iter().map(|socket| socket.local.port()).collect();
    let open = StateFlags::ESTABLISHED
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK
        | StateFlags::CLOSING;
    let connections = dump(open).map_err(listing)?.into_iter().collect();
    Ok(place(&connections, &listening, documented))
}

fn listing(source: io::Error) -> Error {
    Error::Io { what: "listing the host's sockets", source }
}

/// A connection on a port on which something listens was accepted here, any other was opened here.
fn place(
    connections: &HashSet<Connection>,
    listening: &HashSet<u16>,
    documented: &PortSet,
) -> Vec<FlowKey> {
    let mut flows: Vec<FlowKey> = connections
        .iter()
        .filter_map(|&Connection { local, remote }| {
            let loopback = connections.contains(&Connection { local: remote, remote: local });
            let (side, service) = if listening.contains(&local.port()) {
                (Side::Server, local.port())
            } else {
                (Side::Client, remote.port())
            };
            // A connection of the host with itself is told once, from the server's end.
            let told = !loopback || side == Side::Server;
            (told && documented.contains(Transport::Tcp, service)).then(|| {
                let peer = match remote.ip() {
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                    IpAddr::V6(address) => address,
                };
                let peer = FlowKey::peer_words(peer.octets());
                FlowKey::new(peer, service, Transport::Tcp, side, loopback)
            })
        })
        .collect();
    flows.sort_by_key(|flow| (flow.service, flow.peer));
    flows.dedup();
    flows
}

/// The TCP sockets in these states, of both IP versions.
fn dump(states: StateFlags) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: states.clone(),
            socket_id,
        };
        ask(request, &mut connections)?;
    }
    Ok(connections)
}

fn ask(request: InetRequest, connections: &mut Vec<Connection>) -> io::Result<()> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut buffer = vec![0; message.buffer_len()];
    message.serialize(&mut buffer);
    socket.send(&buffer, 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    let id = &response.header.socket_id;
                    connections.push(Connection {
                        local: end(id.source_address, id.source_port),
                        remote: end(id.destination_address, id.destination_port),
                    });
                }
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(_)
                | NetlinkPayload::Noop
                | NetlinkPayload::Overrun(_)
                | _ => {}
            }
            let length = usize::try_from(message.header.length).map_err(io::Error::other)?;
            rest = rest.get(length.max(1).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// An end of a connection; an IPv4 address on an IPv6 socket as what it is.
fn end(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(local: &str, remote: &str) -> Connection {
        Connection { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    fn placed(connections: &[Connection]) -> Vec<(Option<Side>, u16, bool)> {
        let mut documented = PortSet::default();
        documented.insert(Transport::Tcp, 50051);
        let flows =
            place(&connections.iter().copied().collect(), &HashSet::from([50051, 22]), &documented);
        flows.iter().map(|flow| (flow.side(), flow.service_port(), flow.loopback())).collect()
    }

    #[test]
    fn listener_makes_the_server() {
        let accepted = connection("10.0.0.1:50051", "10.0.0.2:40000");
        assert_eq!(placed(&[accepted]), [(Some(Side::Server), 50051, false)]);
    }

    #[test]
    fn other_connections_were_opened_here() {
        let opened = connection("10.0.0.1:40000", "10.0.0.2:50051");
        assert_eq!(placed(&[opened]), [(Some(Side::Client), 50051, false)]);
    }

    #[test]
    fn ephemeral_port_of_the_peer_is_no_service() {
        assert_eq!(placed(&[connection("10.0.0.1:22", "10.0.0.2:50051")]), []);
    }

    #[test]
    fn connection_of_the_host_with_itself_is_told_once() {
        let accepted = connection("[::1]:50051", "[::1]:40000");
        let opened = connection("[::1]:40000", "[::1]:50051");
        assert_eq!(placed(&[accepted, opened]), [(Some(Side::Server), 50051, true)]);
    }
}
