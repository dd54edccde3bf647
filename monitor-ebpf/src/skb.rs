//! What the kernel says of a packet beside its linear bytes.

#![expect(unsafe_code, reason = "the context is a pointer to the kernel's view of the packet")]

use aya_ebpf::{
    bindings::bpf_fib_lookup as Lookup,
    helpers::generated::{bpf_fib_lookup, bpf_get_retval},
    programs::sk_buff::SkBuff,
};
use monitor_common::packet::{Bytes, Version};

macro_rules! field {
    ($context:expr, $field:ident) => {{
        let skb = $context.skb;
        // SAFETY: the kernel passes the context and keeps it valid while the program runs.
        unsafe { (*skb).$field }
    }};
}

/// Address of the first byte.
#[inline(always)]
pub(crate) fn data(context: &SkBuff) -> usize {
    field!(context, data) as usize
}

/// Address behind the last byte of the linear part.
#[inline(always)]
pub(crate) fn data_end(context: &SkBuff) -> usize {
    field!(context, data_end) as usize
}

/// How many segments the packet is on the wire; 0 and 1 both mean one, or that it is not known.
#[inline(always)]
pub(crate) fn segments(context: &SkBuff) -> u32 {
    field!(context, gso_segs)
}

/// Payload bytes of a full segment, 0 for a packet that is not coalesced.
#[inline(always)]
pub(crate) fn segment_size(context: &SkBuff) -> u32 {
    field!(context, gso_size)
}

/// What the programs at cgroups that ran before this one make of the call: negative where one forbids it.
/// Since 5.18.
#[inline(always)]
pub(crate) fn said_before() -> i32 {
    // SAFETY: the helper takes nothing, and only gives a number.
    unsafe { bpf_get_retval() }
}

/// Whether the outer VLAN tag is kept beside the packet.
#[inline(always)]
pub(crate) fn tagged(context: &SkBuff) -> bool {
    field!(context, vlan_present) != 0
}

/// What kind of packet it is: for this machine, for all, for another one.
#[inline(always)]
pub(crate) fn kind(context: &SkBuff) -> u32 {
    field!(context, pkt_type)
}

/// Index of the device that the packet is at.
#[inline(always)]
pub(crate) fn interface(context: &SkBuff) -> u32 {
    field!(context, ifindex)
}

/// Address of the socket that a program of `cgroup_skb` runs for, 0 for none. Since 5.1.
#[inline(always)]
pub(crate) fn socket(context: &SkBuff) -> u64 {
    let either = field!(context, __bindgen_anon_2);
    // SAFETY: the kernel has a pointer there, and any bytes are one.
    unsafe { either.sk as u64 }
}

/// Whether a packet on its way out came in from a device before.
#[inline(always)]
pub(crate) fn came_in(context: &SkBuff) -> bool {
    field!(context, ingress_ifindex) != 0
}

/// Whether an address is one of this host's, and not of a machine that it forwards to from the device
/// that the packet came in by. Since 4.18; where the kernel cannot say, it is.
#[inline(always)]
pub(crate) fn is_local(context: &SkBuff, version: Version, address: [u64; 2]) -> bool {
    const IPV4: u8 = 2;
    const IPV6: u8 = 10;
    const NOT_FORWARDED: i64 = 4;
    const FORWARDING_IS_OFF: i64 = 5;
    const SIZE: i32 = 64;
    const _: () = assert!(size_of::<Lookup>() == 64);

    // SAFETY: plain integers, of which zero is one.
    let mut lookup: Lookup = unsafe { core::mem::zeroed() };
    lookup.ifindex = interface(context);
    // SAFETY: as many bytes, and any are numbers.
    let words: [u32; 4] = unsafe { core::mem::transmute(address) };
    match version {
        Version::V4 => {
            lookup.family = IPV4;
            lookup.__bindgen_anon_4.ipv4_dst = words[3];
        }
        Version::V6 => {
            lookup.family = IPV6;
            lookup.__bindgen_anon_4.ipv6_dst = words;
        }
    }
    // SAFETY: the kernel passes the context, and reads and writes no more than the given size.
    let found = unsafe { bpf_fib_lookup(context.skb.cast(), &raw mut lookup, SIZE, 0) };
    found < 0 || matches!(found, NOT_FORWARDED | FORWARDING_IS_OFF)
}

/// The whole packet, its parts outside the linear memory included, read by a helper.
pub(crate) struct Whole<'a>(pub(crate) &'a SkBuff);

impl Bytes for Whole<'_> {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.0.load(at).ok()
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<u16> {
        self.0.load(at).ok().map(u16::from_be)
    }

    #[inline(always)]
    fn long_number(&self, at: usize) -> Option<u32> {
        self.0.load(at).ok().map(u32::from_be)
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<u64> {
        self.0.load(at).ok()
    }
}
