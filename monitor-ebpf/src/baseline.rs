//! What the benchmark compares the hooks with: a program that does nothing, one that only finds a count
//! in a per-CPU hash, and the usual flow monitor's inner loop (parse, then count in a per-CPU hash by
//! 5-tuple).

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    clippy::inline_always,
    reason = "the verifier follows calls, and a call costs more than most of these bodies"
)]

mod reader;

use aya_ebpf::{
    bindings::TC_ACT_UNSPEC,
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::{cgroup_skb, classifier, map},
    maps::PerCpuHashMap,
    programs::{SkBuffContext, TcContext},
};
use monitor_common::packet::{self, End, Link};
use reader::Direct;

/// The 5-tuple, 40 bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Tuple {
    source: [u64; 2],
    destination: [u64; 2],
    source_port: u16,
    destination_port: u16,
    transport: u32,
}

/// What a flow monitor counts for it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Counts {
    packets: u64,
    bytes: u64,
    last: u64,
    flags: u64,
}

#[map]
static TUPLES: PerCpuHashMap<Tuple, Counts> = PerCpuHashMap::with_max_entries(16 * 1024, 0);

/// Keys as large as those of the flows.
#[map]
static KEYS: PerCpuHashMap<[u64; 3], u64> = PerCpuHashMap::with_max_entries(16 * 1024, 0);

#[classifier]
fn empty(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

#[cgroup_skb]
fn empty_socket(_context: SkBuffContext) -> i32 {
    1
}

/// Who counts by flow in such a map needs this at least.
#[expect(unsafe_code, reason = "the value in the map")]
#[classifier]
fn lookup(_context: TcContext) -> i32 {
    static KEY: [u64; 3] = [0, 1, 2];
    if let Some(count) = KEYS.get_ptr_mut(KEY) {
        // SAFETY: the map gave the pointer for this CPU's value, and no other program writes it.
        unsafe { *count += 1 };
    } else {
        // The first run makes it.
        _ = KEYS.insert(KEY, 1, 0);
    }
    TC_ACT_UNSPEC
}

#[classifier]
fn five_tuple(context: TcContext) -> i32 {
    count(&context);
    TC_ACT_UNSPEC
}

#[expect(unsafe_code, reason = "the clock's helper and the value in the map")]
#[inline(always)]
fn count(context: &TcContext) -> Option<()> {
    let bytes = Direct::new(context.data(), context.data_end());
    let packet = packet::locate_plain(&bytes, Link::Ethernet).ok()?;
    let tuple = Tuple {
        source: packet.address(&bytes, End::Source)?,
        destination: packet.address(&bytes, End::Destination)?,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        transport: packet.transport as u32,
    };
    let flags = u64::from(packet.tcp_flags(&bytes)?);
    let length = u64::from(context.len());
    // SAFETY: the helper takes nothing and exists where the benchmark runs.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    if let Some(counts) = TUPLES.get_ptr_mut(tuple) {
        // SAFETY: the map gave the pointer for this CPU's value, and no other program writes it.
        let counts = unsafe { &mut *counts };
        counts.packets += 1;
        counts.bytes += length;
        counts.last = now;
        counts.flags |= flags;
    } else {
        let first = Counts { packets: 1, bytes: length, last: now, flags };
        TUPLES.insert(tuple, first, 0).ok()?;
    }
    Some(())
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "the kernel finds the licence in this section")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {}
