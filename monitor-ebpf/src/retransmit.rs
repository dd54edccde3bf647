//! Raw tracepoint `tcp_retransmit_skb`, since 4.15: segments that this host sends again.
//!
//! Why this hook: it tells a segment that is sent again from one that is new, which the wire alone
//! does not.
//! It cannot see: what peers send again, and whether a segment was lost or only late. Since 6.18 it also fires where
//! the segment could not be sent, and says so.
//!
//! It fires for every namespace of the machine.

use aya_ebpf::{EbpfContext as _, macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    connection::{End, flow_of_socket},
    maps::count_retransmission,
    memory::{argument, field, offset},
};

const SYN_SENT: u8 = 2;

/// An error is an `int`: the upper half of its word is not said to be clean.
const ERROR: u64 = 0xffff_ffff;

#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
fn retransmit(context: RawTracePointContext) -> i32 {
    let arguments = context.as_ptr().cast();
    let socket = argument(arguments, 0);
    // The verifier knows the number, and does not look at a branch that is never taken.
    if offset!(retransmit_arguments) >= 3 && argument(arguments, 2) & ERROR != 0 {
        return 0;
    }
    let state: u8 = field(socket, offset!(socket_state));
    let is_opening = state == SYN_SENT;
    let end = if is_opening { End::Opened } else { End::Unknown };
    if let Some(key) = flow_of_socket(socket, end) {
        count_retransmission(&key, is_opening);
    }
    0
}
