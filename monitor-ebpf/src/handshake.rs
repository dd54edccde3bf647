//! Open handshakes: every attempt by itself, from its SYN until it is known what became of it.
//!
//! Reached from `wire` for each SYN, and for other segments only where a handshake may be open that they
//! belong to. It follows what crosses the device, so it says what happened whatever the host does with the
//! packet behind it: translation of addresses and ports, SYN proxies and cookies, deferred accept, MPTCP.
//!
//! It cannot see: attempts that never reach the device, and that time passes: the daemon runs
//! [`end_handshake`] for those that nothing ends.

#![expect(unsafe_code, reason = "maps and globals are shared with the daemon by address")]

use core::{cell::UnsafeCell, mem::offset_of};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, TC_ACT_UNSPEC},
    macros::{classifier, map},
    maps::{Array, HashMap, PerCpuArray},
    programs::TcContext,
};
use monitor_common::{
    AttemptCounts, AttemptEnd, ConnectionKey, FlowKey, Handshake, Loss, Transport,
    attribution::{Heading, Path},
    handshake::{Ending, Segment, Step},
    packet::{End, Packet, SYN_ACK},
    slots::{CROWD_LIMIT, OpenHandshakes, connection_slot, flow_slot},
};

use crate::{
    clock,
    maps::{add_atomically, lose},
};

/// How many handshakes can be open, and flows have attempts, unless the daemon says otherwise at load.
const DEFAULT_FLOWS: u32 = 16 * 1024;

#[map]
static HANDSHAKES: HashMap<ConnectionKey, Handshake> =
    HashMap::with_max_entries(2 * DEFAULT_FLOWS, 0);

/// What became of attempts.
#[map]
static ATTEMPTS: HashMap<FlowKey, AttemptCounts> = HashMap::with_max_entries(DEFAULT_FLOWS, 0);

#[repr(transparent)]
struct Open(UnsafeCell<OpenHandshakes>);

// SAFETY: its numbers are changed by atomic additions only, and read one aligned word at a time.
unsafe impl Sync for Open {}

#[unsafe(link_section = ".data.open")]
#[unsafe(no_mangle)]
static OPEN: Open = Open(UnsafeCell::new(OpenHandshakes::ZERO));

/// The number of open handshakes in the slot of a connection.
#[inline(always)]
fn in_slot(flow: &FlowKey, port: u16) -> *mut u64 {
    OPEN.0.get().cast::<u64>().wrapping_add(connection_slot(flow, port))
}

/// The number of open handshakes in the slot of a flow.
#[inline(always)]
fn in_crowd(flow: &FlowKey) -> *mut u64 {
    let at = offset_of!(OpenHandshakes, flows);
    OPEN.0.get().cast::<u64>().wrapping_byte_add(at).wrapping_add(flow_slot(flow))
}

/// Whether a handshake of the connection may be open.
#[inline(always)]
pub(crate) fn may_be_open(flow: &FlowKey, port: u16) -> bool {
    // SAFETY: a slot is inside the static, which lives as long as the program.
    unsafe { in_slot(flow, port).read_volatile() != 0 }
}

/// What [`opening_between`] finds.
const NEITHER: u32 = 0;
const TO_SERVICE: u32 = 1;
const FROM_SERVICE: u32 = 2;

/// Which port of a TCP packet is the service's in the connection between them that is being opened, by what a slot takes
/// of the peer's address for either heading: its second word. A global function: it needs room on the stack that its
/// callers do not have, and the verifier looks at it once.
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the ports")]
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn opening_between(asker: u64, service: u64, between: u64) -> u32 {
    let (source_port, destination_port) = (between as u16, (between >> 16) as u16);
    let path = match between >> 32 {
        0 => Path::Received,
        1 => Path::Transmitted,
        _ => Path::Loopback,
    };
    let is_open = |heading: Heading, peer: u64, service: u16, port: u16| {
        let (_, side) = heading.ends(path);
        let is_loopback = matches!(path, Path::Loopback);
        may_be_open(&FlowKey::new([0, peer], service, Transport::Tcp, side, is_loopback), port)
    };
    match (
        is_open(Heading::ToService, asker, destination_port, source_port),
        is_open(Heading::FromService, service, source_port, destination_port),
    ) {
        (true, false) => TO_SERVICE,
        (false, true) => FROM_SERVICE,
        _ => NEITHER,
    }
}

/// The heading of a TCP packet in the connection between its ports that is being opened, where one is.
#[inline(always)]
pub(crate) fn opening(
    peer: impl Fn(End) -> Option<[u64; 2]>,
    packet: &Packet,
    path: Path,
) -> Option<Heading> {
    let peer = |heading: Heading| Some(peer(heading.ends(path).0)?[1]);
    let ports = u64::from(packet.source_port) | u64::from(packet.destination_port) << 16;
    let between = ports | (path as u64) << 32;
    match opening_between(peer(Heading::ToService)?, peer(Heading::FromService)?, between) {
        TO_SERVICE => Some(Heading::ToService),
        FROM_SERVICE => Some(Heading::FromService),
        _ => None,
    }
}

/// A segment, and the connection that it belongs to.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Followed {
    key: ConnectionKey,
    segment: Segment,
    interface: u32,
    /// What the segment begins.
    handshake: Handshake,
}

/// Room for one on each CPU: the stack has too little.
#[map]
static FOLLOWED: PerCpuArray<Followed> = PerCpuArray::with_max_entries(1, 0);

/// Puts a segment where [`follow`] finds it.
#[inline(always)]
pub(crate) fn scratch(
    flow: FlowKey,
    own: [u64; 2],
    port: u16,
    segment: Segment,
    interface: u32,
) -> bool {
    let Some(followed) = FOLLOWED.get_ptr_mut(0) else { return false };
    // SAFETY: the pointer is to this CPU's value, and a TC program is not interrupted by another on the same CPU.
    let followed = unsafe { &mut *followed };
    followed.key = ConnectionKey { flow, own, port: u64::from(port) };
    followed.segment = segment;
    followed.interface = interface;
    true
}

/// Takes in the segment that [`scratch`] was given.
///
/// A global function, which the verifier looks at once, and not again for whatever a program knows when it calls it.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn follow_handshake() -> u32 {
    if let Some(followed) = FOLLOWED.get_ptr_mut(0) {
        // SAFETY: as in `scratch`.
        follow(unsafe { &mut *followed });
    }
    0
}

#[inline(always)]
fn follow(followed: &mut Followed) {
    let now = clock::now();
    let Followed { key, segment, interface, handshake: new } = followed;
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy on the stack")]
    let Some(handshake) = HANDSHAKES.get_ptr_mut(&*key) else {
        if segment.is_opening() {
            *new = Handshake::begin(*segment, *interface, now);
            open(key, new);
        } else if segment.flags & SYN_ACK == SYN_ACK && !segment.to_service {
            note_stray_answer(key, now);
        }
        return;
    };
    // SAFETY: the value is freed only after a grace period. Another CPU may write a field at the same time,
    // which then is that of one of two segments that crossed the device at the same time.
    let handshake = unsafe { &mut *handshake };
    match handshake.follow(*segment, now) {
        Step::Open => {}
        Step::Ended(end) => close(key, handshake, end, now),
        Step::Replaced(end) => {
            close(key, handshake, end, now);
            *new = Handshake::begin(*segment, *interface, now);
            open(key, new);
        }
    }
}

/// The handshake that the daemon asks to end.
#[map]
static ENDING: Array<Ending> = Array::with_max_entries(1, 0);

/// Attached nowhere: the daemon runs it by `BPF_PROG_TEST_RUN`.
#[classifier]
fn end_handshake(_context: TcContext) -> i32 {
    if let Some(Ending { key, end }) = ENDING.get(0)
        && let Ok(end) = u8::try_from(*end)
        && let Some(end) = AttemptEnd::from_byte(end)
        && let Some(handshake) = HANDSHAKES.get_ptr(key)
    {
        // SAFETY: as in `follow`.
        close(key, unsafe { &*handshake }, end, clock::now());
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn open(key: &ConnectionKey, handshake: &Handshake) {
    const EEXIST: i32 = -17;

    let crowd = in_crowd(&key.flow);
    // SAFETY: as in `may_be_open`.
    let has_room = unsafe { crowd.read_volatile() } < CROWD_LIMIT;
    match if has_room { HANDSHAKES.insert(key, handshake, BPF_NOEXIST.into()) } else { Err(0) } {
        Ok(()) => note_open(key, 1),
        // Another CPU was faster.
        Err(EEXIST) => {}
        Err(_) => {
            lose(Loss::NotFollowed);
            if let Some(attempts) = attempts(&key.flow) {
                attempts.add(offset_of!(AttemptCounts, not_followed), 1);
            }
        }
    }
}

/// Counts a handshake among those that are open; all ones take it away.
#[inline(always)]
fn note_open(key: &ConnectionKey, more: u64) {
    // SAFETY: the slot is inside the static.
    unsafe { add_atomically(in_crowd(&key.flow), more) };
    // SAFETY: as above.
    unsafe { add_atomically(in_slot(&key.flow, key.asker_port()), more) };
}

/// Counts what became of an attempt, once.
#[inline(always)]
fn close(key: &ConnectionKey, handshake: &Handshake, end: AttemptEnd, now: u64) {
    let (began, segments) = (handshake.began, u64::from(handshake.segments));
    let last = handshake.ended_at(end, now);
    if HANDSHAKES.remove(key).is_err() {
        return;
    }
    note_open(key, u64::MAX);
    let Some(attempts) = attempts(&key.flow) else { return };
    let of_end = |counts: usize| counts + end as usize * size_of::<u64>();
    attempts.add(of_end(offset_of!(AttemptCounts, ended)), 1);
    attempts.add(of_end(offset_of!(AttemptCounts, segments)), segments);
    attempts.set(of_end(offset_of!(AttemptCounts, began)), began);
    attempts.set(of_end(offset_of!(AttemptCounts, last)), last);
}

/// An answer came from another address of the service than was asked.
#[inline(always)]
fn note_stray_answer(key: &ConnectionKey, now: u64) {
    const ADDRESS: usize = offset_of!(AttemptCounts, stray_address);

    if let Some(attempts) = attempts(&key.flow) {
        attempts.set(ADDRESS, key.own[0]);
        attempts.set(ADDRESS + 8, key.own[1]);
        attempts.set(offset_of!(AttemptCounts, stray_port), key.port);
        attempts.set(offset_of!(AttemptCounts, stray), now);
    }
}

/// The counts of the attempts of a flow.
struct Attempts(*mut u64);

impl Attempts {
    /// Adds to the number at an offset.
    #[inline(always)]
    fn add(&self, at: usize, more: u64) {
        // SAFETY: the value is freed only after a grace period, and the offset is that of a number in it.
        unsafe { add_atomically(self.0.wrapping_byte_add(at), more) };
    }

    /// Writes the number at an offset: of two CPUs that do at the same time, one or the other.
    #[inline(always)]
    fn set(&self, at: usize, value: u64) {
        // SAFETY: as above.
        unsafe { self.0.wrapping_byte_add(at).write(value) };
    }
}

/// The counts of the attempts of a flow, made if they are not there.
#[inline(always)]
fn attempts(flow: &FlowKey) -> Option<Attempts> {
    static ZERO: AttemptCounts = AttemptCounts::ZERO;

    if ATTEMPTS.get_ptr(flow).is_none() {
        #[expect(clippy::needless_borrows_for_generic_args, reason = "a value is a copy")]
        let _made = ATTEMPTS.insert(flow, &ZERO, BPF_NOEXIST.into());
    }
    let counts = ATTEMPTS.get_ptr_mut(flow).map(|counts| Attempts(counts.cast()));
    if counts.is_none() {
        lose(Loss::MapFull);
    }
    counts
}
