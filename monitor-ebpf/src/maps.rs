//! Every map and global of the programs. Their names are those of `monitor_common::names`.

#![expect(unsafe_code, reason = "maps and globals are shared with the daemon by address")]

use core::{cell::UnsafeCell, mem::offset_of};

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap},
};
use monitor_common::{
    ClockReading, ConnectionCounts, Counters, DropCounts, DropKey, Event, EventCounts, EventKey,
    FlowCounts, FlowKey, Loss, Outcome,
    names::MOST_LISTED,
    packet::{SYN, SYN_ACK},
};

use crate::clock;

/// How many flows fit unless the daemon says otherwise at load.
const DEFAULT_FLOWS: u32 = 16 * 1024;

/// All flows. Preallocated, so that a packet never waits for memory.
#[map]
static FLOWS: PerCpuHashMap<FlowKey, FlowCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// What sockets of this host sent and got.
#[map]
static SOCKETS: PerCpuHashMap<FlowKey, FlowCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// Dropped packets.
#[map]
static DROPS: PerCpuHashMap<DropKey, DropCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// What became of connections.
#[map]
static CONNECTIONS: PerCpuHashMap<FlowKey, ConnectionCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// ICMP errors, and attempts to connect.
#[map]
static EVENTS: PerCpuHashMap<EventKey, EventCounts> =
    PerCpuHashMap::with_max_entries(DEFAULT_FLOWS, 0);

/// Flows that sockets have asked for a connection of, by the address of the socket, until it begins.
#[map]
static ASKED: LruHashMap<u64, FlowKey> = LruHashMap::with_max_entries(1024, 0);

/// What was seen and not counted, by [`Loss`].
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Loss::COUNT, 0);

/// The last reading of the clocks.
#[map]
static CLOCK: Array<ClockReading> = Array::with_max_entries(1, 0);

/// Peers that the config names one by one: a part of the map is kept for their flows, so that nobody else can
/// take it all.
#[map]
static LISTED: HashMap<[u64; 2], u8> = HashMap::with_max_entries(MOST_LISTED, BPF_F_NO_PREALLOC);

/// How many flows of others may still be made. The daemon says it anew each second.
#[repr(transparent)]
struct Room(UnsafeCell<i64>);

// SAFETY: it is one aligned word, which the programs read, and change by one atomic addition.
unsafe impl Sync for Room {}

#[unsafe(link_section = ".data.room")]
#[unsafe(no_mangle)]
static ROOM: Room = Room(UnsafeCell::new(i64::MAX));

/// Whether a new flow may take a place.
#[inline(always)]
fn may_be_made(key: &FlowKey) -> bool {
    // SAFETY: the static lives as long as the program.
    let room = unsafe { ROOM.0.get().read_volatile() };
    room > 0 || LISTED.get_ptr(key.peer).is_some()
}

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
    if !may_be_made(key) {
        return false;
    }
    // By address: a copy of it would not fit beside the rest on the stack.
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
    let made = FLOWS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    if made.is_ok() {
        // SAFETY: the static lives as long as the program; adding all ones takes one away.
        unsafe { add_atomically(ROOM.0.get().cast(), u64::MAX) };
    }
    made != Err(E2BIG)
}

/// Whether packets of a flow were seen on the wire or at a socket.
#[inline(always)]
pub(crate) fn is_known(key: &FlowKey) -> bool {
    FLOWS.get_ptr(key).is_some() || SOCKETS.get_ptr(key).is_some()
}

/// This CPU's counts of a flow at the socket layer.
///
/// A program that interrupts this one adds to the same numbers, so they are added to atomically. The
/// times may be written by either.
pub(crate) struct AtSocket(*mut u64);

/// This CPU's counts of a flow at the socket layer.
#[inline(always)]
pub(crate) fn socket_flow(key: &FlowKey) -> Option<AtSocket> {
    SOCKETS.get_ptr_mut(key).map(|counts| AtSocket(counts.cast()))
}

/// The same for a flow that is made if it is not there; `None` where the map is full.
#[inline(always)]
pub(crate) fn create_at_socket(key: &FlowKey) -> Option<AtSocket> {
    static ZERO: FlowCounts = FlowCounts::ZERO;
    // What came by a device has its place there already, or found none.
    if !may_be_made(key) && FLOWS.get_ptr(key).is_none() {
        lose(Loss::MapFull);
        return None;
    }
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
    let _made = SOCKETS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    let counts = socket_flow(key);
    if counts.is_none() {
        lose(Loss::MapFull);
    }
    counts
}

impl AtSocket {
    /// Counts packets.
    #[inline(always)]
    pub(crate) fn add(&self, received: bool, packets: u64, bytes: u64, opening: u8) {
        let (direction, last) = if received {
            (offset_of!(FlowCounts, received), offset_of!(FlowCounts, last_received))
        } else {
            (offset_of!(FlowCounts, transmitted), offset_of!(FlowCounts, last_transmitted))
        };
        self.add_to(direction + offset_of!(Counters, packets), packets);
        self.add_to(direction + offset_of!(Counters, bytes), bytes);
        match opening {
            SYN => self.add_to(direction + offset_of!(Counters, syn), 1),
            SYN_ACK => self.add_to(direction + offset_of!(Counters, syn_ack), 1),
            _ => {}
        }
        // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period, and
        // the offset is that of a number in it.
        unsafe { self.0.wrapping_byte_add(last).write(clock::now()) };
    }

    #[inline(always)]
    fn add_to(&self, at: usize, more: u64) {
        let number = self.0.wrapping_byte_add(at);
        // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period, and the
        // offset is that of a number in it.
        unsafe { add_atomically(number, more) };
    }
}

/// Adds to a number that other programs add to at the same time. The compiler has no atomic addition for this
/// target, the kernel has had one since 3.18.
///
/// # Safety
///
/// The pointer is to an aligned number that stays where it is.
#[inline(always)]
pub(crate) unsafe fn add_atomically(number: *mut u64, more: u64) {
    // SAFETY: the caller's promise; the addition touches nothing but the number.
    #[cfg(target_arch = "bpf")]
    unsafe {
        core::arch::asm!("lock *(u64 *)({number} + 0) += {more}", number = in(reg) number, more = in(reg) more);
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        // SAFETY: the caller's promise; on the host nothing runs it.
        let before = unsafe { number.read() };
        // SAFETY: as above.
        unsafe { number.write(before.wrapping_add(more)) };
    }
}

/// Counts what became of a connection.
#[inline(always)]
pub(crate) fn count_outcome(key: &FlowKey, outcome: Outcome, error: u32) {
    if let Some(counts) = connections(key) {
        let index = outcome as usize;
        counts.outcomes[index] += 1;
        counts.last[index] = clock::now();
        if outcome != Outcome::Established {
            counts.error = u64::from(error);
        }
    }
}

/// Notes that a socket has asked for a connection of a flow.
#[inline(always)]
pub(crate) fn ask(socket: u64, key: &FlowKey) {
    // Without room the attempt counts as one that never began: a least recently used one makes room.
    _ = ASKED.insert(socket, key, 0);
}

/// Forgets what the socket at an address has asked for.
#[inline(always)]
pub(crate) fn forget_asked(socket: u64) {
    _ = ASKED.remove(socket);
}

/// Counts that what a socket has asked for begins. Any other socket was never asked: it is the kernel's
/// own, or a part of another connection (MPTCP).
#[inline(always)]
pub(crate) fn begin(socket: u64) {
    let Some(asked) = ASKED.get_ptr(socket) else {
        return;
    };
    // SAFETY: the pointer is to a value of the map. Where another CPU takes it in the same moment, it
    // holds another flow, which is as valid a key.
    let key = unsafe { *asked };
    if let Some(counts) = connections(&key) {
        counts.begun += 1;
    }
    _ = ASKED.remove(socket);
}

/// Counts a segment that is sent again.
#[inline(always)]
pub(crate) fn count_retransmission(key: &FlowKey, syn: bool) {
    if let Some(counts) = connections(key) {
        counts.retransmitted += 1;
        counts.retransmitted_syn += u64::from(syn);
        counts.last_retransmitted = clock::now();
    }
}

/// This CPU's counts of the connections of a flow, made if they are not there.
#[inline(always)]
fn connections(key: &FlowKey) -> Option<&'static mut ConnectionCounts> {
    static ZERO: ConnectionCounts = ConnectionCounts::ZERO;
    if CONNECTIONS.get_ptr(key).is_none() {
        #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
        let _made = CONNECTIONS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    }
    let Some(counts) = CONNECTIONS.get_ptr_mut(key) else {
        lose(Loss::MapFull);
        return None;
    };
    // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period, and the
    // kernel does not run a program of a tracepoint within itself on one CPU.
    Some(unsafe { &mut *counts })
}

/// Counts dropped packets of the session with that port.
#[inline(always)]
pub(crate) fn count_drop(key: &DropKey, packets: u64, interface: u32, port: u16, own: [u64; 2]) {
    static ZERO: DropCounts = DropCounts::ZERO;
    if DROPS.get_ptr(key).is_none() {
        #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
        let _made = DROPS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    }
    let Some(counts) = DROPS.get_ptr_mut(key) else {
        return lose(Loss::MapFull);
    };
    // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period, and the
    // kernel does not run a program of a tracepoint within itself on one CPU.
    let counts = unsafe { &mut *counts };
    let now = clock::now();
    counts.packets += packets;
    if counts.first == 0 {
        counts.first = now;
    }
    counts.last = now;
    counts.port = port;
    counts.own = own;
    if interface != 0 {
        counts.interface = interface;
    }
}

/// Counts an event of a flow.
#[inline(always)]
pub(crate) fn count_event(flow: FlowKey, event: Event) {
    static ZERO: EventCounts = EventCounts::ZERO;
    let key = EventKey::new(flow, event);
    if EVENTS.get_ptr(key).is_none() {
        #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
        let _made = EVENTS.insert(key, &ZERO, u64::from(BPF_NOEXIST));
    }
    let Some(counts) = EVENTS.get_ptr_mut(key) else {
        return lose(Loss::MapFull);
    };
    // SAFETY: the pointer is to this CPU's value, which is freed only after a grace period. Each event
    // is counted by one hook, and the kernel does not run one within itself on one CPU.
    let counts = unsafe { &mut *counts };
    let now = clock::now();
    counts.times += 1;
    if counts.first == 0 {
        counts.first = now;
    }
    counts.last = now;
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
