//! Whose traffic it is: the addresses of this host, and flows of others behind them.

#![expect(unsafe_code, reason = "a global is shared with the daemon by address")]

use core::{cell::UnsafeCell, mem::offset_of};

use aya_ebpf::{macros::map, maps::LruHashMap};
use monitor_common::{FlowKey, OwnAddresses};

/// Flows of guests and containers that are kept apart from the host's own.
const FORWARDED_FLOWS: u32 = 4096;

/// Flows that guests and containers open behind this host's address, so that the answers are kept apart
/// from the host's own. The oldest make room.
#[map]
static FORWARDED: LruHashMap<FlowKey, u32> = LruHashMap::with_max_entries(FORWARDED_FLOWS, 0);

/// The host's addresses, written by the daemon while the programs run.
#[repr(transparent)]
struct SharedOwn(UnsafeCell<OwnAddresses>);

// SAFETY: the programs only read it, one aligned word at a time, and the daemon writes it through the map,
// where a word is old or new and nothing between.
unsafe impl Sync for SharedOwn {}

#[unsafe(link_section = ".data.own")]
#[unsafe(no_mangle)]
static OWN: SharedOwn = SharedOwn(UnsafeCell::new(OwnAddresses::UNUSED));

/// A word of the table of the host's addresses, by its offset in bytes.
#[inline(always)]
fn own_word(at: usize) -> u64 {
    let word = OWN.0.get().cast::<u64>().wrapping_byte_add(at);
    // SAFETY: the offset is that of a word in the table, which lives as long as the program.
    unsafe { word.read_volatile() }
}

/// What stands for an own address in the counts of a flow.
#[inline(always)]
pub(crate) fn own_token(address: [u64; 2]) -> u32 {
    OwnAddresses::token(own_word(offset_of!(OwnAddresses, epoch)), address)
}

/// What the table says of an address: it is not in it, it is, or the host has more than there is room for.
const NOT_LISTED: u32 = 0;
const LISTED: u32 = 1;
const TOO_MANY: u32 = 2;

/// A global function: the verifier looks at it once, and what it gives is one unknown number instead of a path for
/// each address that was compared.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn look_up_address(first: u64, second: u64) -> u32 {
    const BUCKET: usize = OwnAddresses::BUCKET * size_of::<[u64; 2]>();

    let mixer = own_word(offset_of!(OwnAddresses, mixer));
    if mixer == 0 {
        return TOO_MANY;
    }
    let bucket = OwnAddresses::bucket(mixer, [first, second]) * BUCKET;
    let bucket = offset_of!(OwnAddresses, buckets) + bucket;
    let is_at = |at: usize| own_word(at) == first && own_word(at + 8) == second;
    let is_listed = is_at(bucket) || is_at(bucket + 16) || is_at(bucket + 32) || is_at(bucket + 48);
    if is_listed { LISTED } else { NOT_LISTED }
}

/// Whether an address is one of the host's, or may be.
#[inline(always)]
pub(crate) fn is_own_address([first, second]: [u64; 2]) -> bool {
    look_up_address(first, second) != NOT_LISTED
}

/// Whether what this host sends from one address to another stays inside.
#[inline(always)]
pub(crate) fn stays_inside(source: [u64; 2], destination: [u64; 2]) -> bool {
    let [first, second] = destination;
    source == destination || is_loopback(destination) || look_up_address(first, second) == LISTED
}

/// Whether an address is one of 127.0.0.0/8, of which the host lists only the first.
#[expect(clippy::host_endian_bytes, reason = "a word is bytes in memory, not a number")]
#[inline(always)]
const fn is_loopback([first, second]: [u64; 2]) -> bool {
    first == 0 && matches!(second.to_ne_bytes(), [0, 0, 0xff, 0xff, 127, ..])
}

/// Keeps in mind that somebody behind this host's address opens a flow.
#[inline(always)]
pub(crate) fn note_forwarded(key: &FlowKey) {
    // Where it fails, the answers count as unattributed.
    _ = FORWARDED.insert(key, 1, 0);
}

/// Whether somebody behind this host's address opened a flow.
#[inline(always)]
pub(crate) fn is_forwarded(key: &FlowKey) -> bool {
    FORWARDED.get_ptr(key).is_some()
}
