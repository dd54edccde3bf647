//! Every map and global of the programs. Their names are those of `monitor_common::names`.

#![expect(unsafe_code, reason = "maps and globals are shared with the daemon by address")]

use core::cell::UnsafeCell;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, PerCpuArray, PerCpuHashMap},
};
use monitor_common::{
    ClockReading, FlowCounts, FlowKey, Loss, Transport,
    ports::{PORT_WORDS, PortBits, port_bit},
};

/// How many flows fit unless the daemon says otherwise at load.
const DEFAULT_FLOWS: u32 = 16 * 1024;

/// All flows. Preallocated, so that a packet never waits for memory.
#[map]
static FLOWS: PerCpuHashMap<FlowKey, FlowCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// What was seen and not counted, by [`Loss`].
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Loss::COUNT, 0);

/// The last reading of the clocks.
#[map]
static CLOCK: Array<ClockReading> = Array::with_max_entries(1, 0);

/// The documented ports, written by the daemon while the programs run.
#[repr(transparent)]
struct SharedPorts(UnsafeCell<PortBits>);

// SAFETY: the programs only read it, one aligned word at a time, and the daemon writes it through
// the map, where a word is old or new and nothing between.
unsafe impl Sync for SharedPorts {}

#[unsafe(link_section = ".data.ports")]
#[unsafe(no_mangle)]
static DOCUMENTED: SharedPorts = SharedPorts(UnsafeCell::new([0; PORT_WORDS]));

/// This CPU's counts of a flow.
#[inline(always)]
pub(crate) fn flow(key: &FlowKey) -> Option<&'static mut FlowCounts> {
    let counts = FLOWS.get_ptr_mut(key)?;
    // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period, and a
    // TC program is not interrupted by another on the same CPU.
    Some(unsafe { &mut *counts })
}

/// Makes a flow without any count; whether the map had room. Another CPU may have made it first.
#[inline(always)]
pub(crate) fn create_flow(key: &FlowKey) -> bool {
    static ZERO: FlowCounts = FlowCounts::ZERO;
    const E2BIG: i32 = -7;
    // By address: a copy of it would not fit beside the rest on the stack.
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
    let made = FLOWS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    made != Err(E2BIG)
}

/// Whether a port is documented.
#[inline(always)]
pub(crate) fn documented(transport: Transport, port: u16) -> bool {
    let (index, mask) = port_bit(transport, port);
    let word = DOCUMENTED.0.get().cast::<u64>().wrapping_add(index);
    // SAFETY: `port_bit` gives an index inside the set for every transport and port, and the
    // static lives as long as the program.
    unsafe { word.read_volatile() & mask != 0 }
}

/// Counts one packet that was seen and is not counted in a flow.
#[inline(always)]
pub(crate) fn lose(loss: Loss) {
    if let Some(count) = LOST.get_ptr_mut(loss as u32) {
        // SAFETY: the pointer is to this CPU's slot of an existing index, and a TC program is not
        // interrupted by another on the same CPU.
        unsafe { *count += 1 };
    }
}

/// Leaves a reading of the clocks for the daemon.
#[inline(always)]
pub(crate) fn set_clock(reading: &ClockReading) {
    // The only index of the array is always there.
    _ = CLOCK.set(0, reading, 0);
}
