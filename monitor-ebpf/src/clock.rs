//! The time of a packet, and how the daemon reads the same clock.
//!
//! Jiffies cost nothing, where a clock in nanoseconds costs as much as the lookup of the flow. The
//! daemon learns their length and their zero from [`read_clock`].

#![expect(unsafe_code, reason = "helpers are calls into the kernel")]

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC,
    helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns},
    macros::classifier,
    programs::TcContext,
};
use monitor_common::ClockReading;

use crate::maps::set_clock;

/// Ticks of the kernel's timer since some time before it started. Since 5.6.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and has no precondition.
    unsafe { bpf_jiffies64() }
}

/// Attached nowhere: the daemon runs it by `BPF_PROG_TEST_RUN` to read both clocks at once.
#[classifier]
fn read_clock(_context: TcContext) -> i32 {
    set_clock(&ClockReading {
        jiffies: now(),
        // SAFETY: the helper takes nothing and has no precondition.
        monotonic_ns: unsafe { bpf_ktime_get_ns() },
    });
    TC_ACT_UNSPEC
}
