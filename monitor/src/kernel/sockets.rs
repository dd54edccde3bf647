//! The host's sockets: what waits for peers, and which side of its open connections the host is.

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
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

use super::Error;
use crate::observe::PortSet;

/// Two ends that send to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

/// A socket that waits for peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub transport: Transport,
    /// What it is bound to.
    pub address: SocketAddr,
    /// It takes no IPv4, although it is bound to every address.
    pub only_ipv6: bool,
    /// Index of the device that it is bound to, 0 for none.
    pub device: u32,
    /// What `/proc/*/fd` calls it by.
    pub inode: u32,
    /// Connections, or bytes of datagrams, that wait to be taken.
    pub waiting: u32,
    /// Of a TCP socket, how many connections may wait.
    pub room: u32,
}

/// Listening TCP sockets, and UDP sockets that take datagrams of anyone.
pub fn listeners() -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        dump(transport, waiting(transport), ExtensionFlags::empty(), |socket, said| {
            listeners.push(Listener {
                transport,
                address: socket.local,
                only_ipv6: said.nlas.iter().any(|nla| matches!(nla, Nla::SkV6Only(true))),
                device: said.header.socket_id.interface_id,
                inode: said.header.inode,
                waiting: said.header.recv_queue,
                room: said.header.send_queue,
            });
        })?;
    }
    Ok(listeners)
}

/// The flow of each connection on a documented port, as often as it has connections: also of those
/// that are being opened or were closed a moment ago.
pub fn connections(documented: &PortSet) -> Result<Vec<FlowKey>, Error> {
    let tcp = open() | StateFlags::SYN_SENT | StateFlags::TIME_WAIT;
    let mut flows = placed(Transport::Tcp, tcp, documented)?;
    flows.extend(placed(Transport::Udp, StateFlags::ESTABLISHED, documented)?);
    Ok(flows)
}

/// The flows that the host's open TCP connections on documented ports belong to.
pub fn open_flows(documented: &PortSet) -> Result<Vec<FlowKey>, Error> {
    let mut flows = placed(Transport::Tcp, open(), documented)?;
    flows.dedup();
    Ok(flows)
}

pub(super) fn open() -> StateFlags {
    StateFlags::ESTABLISHED
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK
        | StateFlags::CLOSING
}

/// The state of a socket without a peer.
fn waiting(transport: Transport) -> StateFlags {
    match transport {
        Transport::Tcp => StateFlags::LISTEN,
        Transport::Udp => StateFlags::CLOSE,
    }
}

fn placed(
    transport: Transport,
    states: StateFlags,
    documented: &PortSet,
) -> Result<Vec<FlowKey>, Error> {
    let listening = listening(transport)?;
    let mut connections = HashSet::new();
    dump(transport, states, ExtensionFlags::empty(), |connection, _| {
        connections.insert(connection);
    })?;
    let placed = connections.iter().filter_map(|connection| {
        flow_of(transport, connection, &connections, &listening, documented)
    });
    let mut flows: Vec<FlowKey> = placed.collect();
    flows.sort_by_key(|flow| (flow.service, flow.peer));
    Ok(flows)
}

/// The ports on which something listens.
pub(super) fn listening(transport: Transport) -> Result<HashSet<u16>, Error> {
    let mut ports = HashSet::new();
    dump(transport, waiting(transport), ExtensionFlags::empty(), |socket, _| {
        ports.insert(socket.local.port());
    })?;
    Ok(ports)
}

/// The flow of one of the open connections, if its port is documented: one on a port on which
/// something listens was accepted here, any other was opened here. A connection of the host with
/// itself is told once, from the server's end.
pub(super) fn flow_of(
    transport: Transport,
    connection: &Connection,
    connections: &HashSet<Connection>,
    listening: &HashSet<u16>,
    documented: &PortSet,
) -> Option<FlowKey> {
    let Connection { local, remote } = *connection;
    // Of a connection that was closed, one end may be gone.
    let loopback = local.ip() == remote.ip()
        || connections.contains(&Connection { local: remote, remote: local });
    let (side, service) = if listening.contains(&local.port()) {
        (Side::Server, local.port())
    } else {
        (Side::Client, remote.port())
    };
    let told = !loopback || side == Side::Server;
    (told && documented.contains(transport, service)).then(|| {
        let peer = match remote.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let peer = FlowKey::peer_words(peer.octets());
        FlowKey::new(peer, service, transport, side, loopback)
    })
}

/// Hands over the sockets in these states, of both IP versions.
pub(super) fn dump(
    transport: Transport,
    states: StateFlags,
    extensions: ExtensionFlags,
    mut each: impl FnMut(Connection, &InetResponse),
) -> Result<(), Error> {
    let protocol = match transport {
        Transport::Tcp => IPPROTO_TCP,
        Transport::Udp => IPPROTO_UDP,
    };
    for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        let (extensions, states) = (extensions.clone(), states.clone());
        let request = InetRequest { family, protocol, extensions, states, socket_id };
        ask(request, &mut each)
            .map_err(|source| Error::Io { what: "listing the host's sockets", source })?;
    }
    Ok(())
}

fn ask(request: InetRequest, mut each: impl FnMut(Connection, &InetResponse)) -> io::Result<()> {
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
                    let connection = Connection {
                        local: end(id.source_address, id.source_port),
                        remote: end(id.destination_address, id.destination_port),
                    };
                    each(connection, &response);
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
        let connections: HashSet<_> = connections.iter().copied().collect();
        let listening = HashSet::from([50051, 22]);
        let flows = connections.iter().filter_map(|connection| {
            flow_of(Transport::Tcp, connection, &connections, &listening, &documented)
        });
        flows.map(|flow| (flow.side(), flow.service_port(), flow.loopback())).collect()
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
