//! `cgroup/connect4` and `cgroup/connect6` at the root, since 4.17, beside the raw tracepoint
//! `inet_sock_set_state`: attempts of this host, and those of them that begin.
//!
//! Why this hook: without a route, or with one of type blackhole, unreachable or prohibit, `connect` fails
//! before there is a packet or a new state of the socket. The difference between what was asked for and
//! what began is these attempts. (`fexit` of `tcp_v4_connect` would tell the error too, but not every
//! kernel or hypervisor allows it.)
//! It cannot see: the error, which the route at that moment tells; datagrams; attempts
//! that a security module refuses, and those whose address another program changes.
//!
//! It fires for every namespace of the machine.

use aya_ebpf::{
    EbpfContext as _,
    macros::{cgroup_sock_addr, raw_tracepoint},
    programs::{RawTracePointContext, SockAddrContext},
};
use monitor_common::{Event, FlowKey, Side, Transport};

use crate::{
    connection::{CLOSED, SYN_SENT, addresses, is_tcp, peer4, peer6},
    maps::{count_begun, count_event, documented, is_probe},
    memory::{Namespace, argument, field, namespace_of_socket, offset, read},
};

/// Let the attempt go on.
const ALLOW: i32 = 1;

#[cgroup_sock_addr(connect4)]
fn connect4(context: SockAddrContext) -> i32 {
    count(&context, |address| peer4(read(address + 4)));
    ALLOW
}

#[cgroup_sock_addr(connect6)]
fn connect6(context: SockAddrContext) -> i32 {
    count(&context, |address| peer6(address + 8));
    ALLOW
}

/// Counts an attempt, the peer of which is read from the address of the `sockaddr`.
#[inline(always)]
fn count(context: &SockAddrContext, peer: impl Fn(u64) -> [u64; 2]) {
    let attempt = context.as_ptr() as u64;
    let address: u64 = field(attempt, offset!(attempt_address));
    let port = u16::from_be(read(address + 2));
    if !documented(Transport::Tcp, port) {
        return;
    }
    let socket: u64 = field(attempt, offset!(attempt_socket));
    if is_probe(field(socket, offset!(socket_port))) {
        return;
    }
    if is_tcp(socket) && namespace_of_socket(socket) == Namespace::Watched {
        let flow = FlowKey::new(peer(address), port, Transport::Tcp, Side::Client, false);
        count_event(flow, Event::Attempt);
    }
}

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn begun(context: RawTracePointContext) -> i32 {
    let arguments = context.as_ptr().cast();
    if (argument(arguments, 1), argument(arguments, 2)) == (CLOSED, SYN_SENT)
        && let Some(flow) = attempt(argument(arguments, 0))
    {
        count_begun(&flow);
    }
    0
}

/// The flow of an attempt that has begun. Also that of the host with itself, as it is told when it is
/// asked for.
#[inline(always)]
fn attempt(socket: u64) -> Option<FlowKey> {
    let port = u16::from_be(field(socket, offset!(socket_peer_port)));
    if !documented(Transport::Tcp, port) || is_probe(field(socket, offset!(socket_port))) {
        return None;
    }
    if !is_tcp(socket) || namespace_of_socket(socket) != Namespace::Watched {
        return None;
    }
    let (peer, _) = addresses(socket)?;
    Some(FlowKey::new(peer, port, Transport::Tcp, Side::Client, false))
}
