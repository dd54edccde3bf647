//! `cgroup/connect4` and `cgroup/connect6` at the root, since 4.17, beside the raw tracepoint
//! `inet_sock_set_state`: attempts of this host, and those of them that begin.
//!
//! Why this hook: without a route, or with one of type blackhole, unreachable or prohibit, with an `IPsec`
//! policy that blocks, or a program at the cgroup that forbids it, `connect` fails before there is a packet
//! or a new state of the socket. The difference between what was asked for and what began is these
//! attempts. (`fexit` of `tcp_v4_connect` would tell the error too, but not every kernel or hypervisor
//! allows it.) It is told by socket: where another program changes the address (a load balancer at the
//! sockets), what was asked for begins all the same.
//! It cannot see: the error, which the route at that moment tells; datagrams; sockets of MPTCP; attempts
//! that a security module refuses; what programs forbid that run after it.
//!
//! It fires for every namespace of the machine.

use aya_ebpf::{
    EbpfContext as _,
    macros::{cgroup_sock_addr, raw_tracepoint},
    programs::{RawTracePointContext, SockAddrContext},
};
use monitor_common::{Event, FlowKey, Side, Transport};

use crate::{
    connection::{CLOSED, SYN_SENT, is_tcp, peer4, peer6},
    maps::{ask, begin, count_event, forget_asked},
    memory::{Namespace, argument, field, namespace_of_socket, offset, read},
    ports::{is_documented, is_probe},
    skb::said_before,
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
    let socket: u64 = field(attempt, offset!(attempt_socket));
    // An earlier socket at the same place may have asked for something that never began.
    forget_asked(socket);
    let address: u64 = field(attempt, offset!(attempt_address));
    let port = u16::from_be(read(address + 2));
    if !is_documented(Transport::Tcp, port) {
        return;
    }
    if is_probe(field(socket, offset!(socket_port))) {
        return;
    }
    if is_tcp(socket) && namespace_of_socket(socket) == Namespace::Watched {
        let flow = FlowKey::new(peer(address), port, Transport::Tcp, Side::Client, false);
        count_event(flow, Event::Attempt);
        // Programs at the cgroups below the root run first.
        if offset!(tells_refusals) != 0 && said_before() < 0 {
            count_event(flow, Event::Forbidden);
        } else {
            ask(socket, &flow);
        }
    }
}

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn begun(context: RawTracePointContext) -> i32 {
    let arguments = context.as_ptr().cast();
    if (argument(arguments, 1), argument(arguments, 2)) == (CLOSED, SYN_SENT) {
        begin(argument(arguments, 0));
    }
    0
}
