//! Raw tracepoint `inet_sock_set_state`, since 4.16: what becomes of the host's TCP connections.
//!
//! Why this hook: the socket knows how an attempt ended, and its error says why, whatever layer ended
//! it.
//! It cannot see: attempts that fail before the socket has a state (no route), connections that were
//! half open when a listener's queue was full, and UDP.
//! A connection of MPTCP changes state once for each of its TCP connections, which are what is counted,
//! and once more for the whole.
//!
//! It fires for every namespace of the machine.

use aya_ebpf::{EbpfContext as _, macros::raw_tracepoint, programs::RawTracePointContext};
use monitor_common::{
    Event, FlowKey, Outcome, Transport,
    attribution::Path,
    packet::{Packet, SYN, Version},
};

use crate::{
    ends::Ends,
    maps::{count_event, count_outcome},
    memory::{Namespace, argument, field, namespace_of_socket, offset, read},
    own::stays_inside,
    ports::{is_documented, is_probe},
};

const ESTABLISHED: u64 = 1;
pub(crate) const SYN_SENT: u64 = 2;
const SYN_RECEIVED: u64 = 3;
pub(crate) const CLOSED: u64 = 7;

const TCP: u16 = 6;

const IPV4: u16 = 2;
const IPV6: u16 = 10;

const UNREACHABLE_NETWORK: u32 = 101;
const RESET: u32 = 104;
const TIMED_OUT: u32 = 110;
const REFUSED: u32 = 111;
const UNREACHABLE_HOST: u32 = 113;

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn connection(context: RawTracePointContext) -> i32 {
    let arguments = context.as_ptr().cast();
    let socket = argument(arguments, 0);
    let (old, new) = (argument(arguments, 1), argument(arguments, 2));
    if !is_tcp(socket) {
        return 0;
    }
    let error: u32 = match (old, field(socket, offset!(socket_error))) {
        // An ICMP is kept as a soft error while the attempt goes on, until the program gives up.
        (SYN_SENT, 0) => field(socket, offset!(socket_soft_error)),
        (_, error) => error,
    };
    let (outcome, end) = match (old, new) {
        (SYN_SENT, ESTABLISHED) => (Outcome::Established, End::Opened),
        (SYN_RECEIVED, ESTABLISHED) => (Outcome::Established, End::Accepted),
        (SYN_SENT | ESTABLISHED, CLOSED) => {
            let end = if old == SYN_SENT { End::Opened } else { End::Unknown };
            match error {
                // The program itself gave up, or closed it in good order, or no port was left for it.
                0 => {
                    let source_port: u16 = field(socket, offset!(socket_source_port));
                    if old == SYN_SENT
                        && source_port == 0
                        && let Some(flow) = flow_of_socket(socket, end)
                    {
                        count_event(flow, Event::NoPort);
                    }
                    return 0;
                }
                REFUSED => (Outcome::Refused, end),
                TIMED_OUT => (Outcome::TimedOut, end),
                UNREACHABLE_NETWORK | UNREACHABLE_HOST => (Outcome::Unreachable, end),
                RESET => (Outcome::Reset, end),
                _ => (Outcome::Failed, end),
            }
        }
        _ => return 0,
    };
    if let Some(key) = flow_of_socket(socket, end) {
        count_outcome(&key, outcome, error);
    }
    0
}

/// Which end of its connection a socket is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Opened,
    Accepted,
    /// The flow that is known tells.
    Unknown,
}

/// The flow of a TCP socket of the watched namespace on a documented port. A connection of the host
/// with itself is of its server's flow: it is established once, and either end can be the one that it breaks at.
#[inline(always)]
pub(crate) fn flow_of_socket(socket: u64, end: End) -> Option<FlowKey> {
    let peer_port = u16::from_be(field(socket, offset!(socket_peer_port)));
    let own_port = own_port(socket);
    let is_documented = |port| is_documented(Transport::Tcp, port);
    if !(is_documented(own_port) || is_documented(peer_port)) || is_probe(own_port) {
        return None;
    }
    if namespace_of_socket(socket) != Namespace::Watched {
        return None;
    }
    let (peer, own) = addresses(socket)?;
    let path = match end {
        End::Opened if stays_inside(own, peer) => return None,
        End::Opened => Path::Transmitted,
        _ if stays_inside(own, peer) => Path::Loopback,
        End::Accepted | End::Unknown => Path::Received,
    };
    if path == Path::Loopback && is_probe(peer_port) {
        return None;
    }
    // It is where its packets are, and what opened it says which end is the service.
    let flags = if end == End::Unknown { 0 } else { SYN };
    let (source, destination, source_port, destination_port) = match path {
        Path::Transmitted => (own, peer, own_port, peer_port),
        Path::Received | Path::Loopback => (peer, own, peer_port, own_port),
    };
    let packet = Packet {
        network: 0,
        transport_header: 0,
        version: Version::V6,
        transport: Transport::Tcp,
        source_port,
        destination_port,
    };
    Ends { source, destination, path, opens: true }.flow(&packet, flags)
}

/// Whether a socket is of TCP itself.
#[inline(always)]
pub(crate) fn is_tcp(socket: u64) -> bool {
    let protocol: u16 = field(socket, offset!(socket_protocol));
    protocol == TCP
}

/// The local port of a socket. One that is closed has given it back by the time that its state changes, and
/// only the port that its segments were sent from is left.
#[inline(always)]
fn own_port(socket: u64) -> u16 {
    match field(socket, offset!(socket_port)) {
        0 => u16::from_be(field(socket, offset!(socket_source_port))),
        port => port,
    }
}

/// The addresses of the peer and of this host that a socket has.
#[inline(always)]
pub(crate) fn addresses(socket: u64) -> Option<([u64; 2], [u64; 2])> {
    match field(socket, offset!(socket_family)) {
        IPV4 => Some((
            peer4(field(socket, offset!(socket_peer4))),
            peer4(field(socket, offset!(socket_own4))),
        )),
        IPV6 => Some((
            peer6(socket + u64::from(offset!(socket_peer6))),
            peer6(socket + u64::from(offset!(socket_own6))),
        )),
        _ => None,
    }
}

/// An IPv6 address at an address in memory, in two words.
#[inline(always)]
pub(crate) fn peer6(at: u64) -> [u64; 2] {
    [read(at), read(at + 8)]
}

/// An IPv4 address in network byte order as `::ffff:a.b.c.d`, in two words as they stand in memory.
#[expect(clippy::host_endian_bytes, reason = "a word is bytes in memory, not a number")]
#[inline(always)]
pub(crate) const fn peer4(address: u32) -> [u64; 2] {
    let [a, b, c, d] = address.to_ne_bytes();
    [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])]
}
