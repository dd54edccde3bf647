//! backupflow's programs in the kernel. They count and decide nothing.
//!
//! | program | hook | sees |
//! |---|---|---|
//! | `wire_ingress`, `wire_egress` | TC of a device with Ethernet headers | packets on the wire |
//! | `wire_ingress_l3`, `wire_egress_l3` | TC of a device without link header (tun, WireGuard) | the same |
//! | `wire_loopback` | TC ingress of `lo` | the host's packets to itself, once |
//! | `socket_ingress`, `socket_egress` | `cgroup_skb` at the root | packets between sockets and the IP layer |
//! | `connection` | raw tracepoint `inet_sock_set_state` | what becomes of connections |
//! | `retransmit` | raw tracepoint `tcp_retransmit_skb` | segments that are sent again |
//! | `drop` | raw tracepoint `kfree_skb` | packets that end here, and why |
//! | `connect4`, `connect6` | `cgroup/connect` at the root | attempts to connect |
//! | `begun` | raw tracepoint `inet_sock_set_state` | those of them that begin |
//! | `read_clock` | none: run by the daemon | the clock that the others stamp packets with |
//! | `end_handshake` | none: run by the daemon | the end of a handshake that nothing ends |

#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows calls, and a call costs more than most of these bodies"
)]

mod clock;
mod connect;
mod connection;
mod drop;
mod ends;
mod handshake;
mod icmp;
mod maps;
mod memory;
mod own;
mod ports;
mod reader;
mod retransmit;
mod skb;
mod socket;
mod wire;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // A loop without end: the verifier refuses a program in which a panic survived.
    loop {}
}

#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "the kernel finds the licence in this section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {}
