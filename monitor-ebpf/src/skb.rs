//! What the kernel says of a packet beside its linear bytes.

#![expect(unsafe_code, reason = "the context is a pointer to the kernel's view of the packet")]

use aya_ebpf::{helpers::generated::bpf_get_retval, programs::sk_buff::SkBuff};
use monitor_common::packet::Bytes;

use crate::memory::{self, offset};

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

/// Whether a packet that leaves by this device was taken at another, which it had left by (`tc mirred`, or a program that
/// clones): its route leads out by that device, which stands on no other whose turn would come now.
#[inline(never)]
pub(crate) fn is_copy(context: &SkBuff) -> bool {
    /// The lowest bit says that the packet does not hold its route.
    const ROUTE: u64 = !1;

    let taken_at = field!(context, ingress_ifindex);
    if taken_at == interface(context) || offset!(device_lower) == 0 {
        return false;
    }
    let route = memory::field::<u64>(context.skb as u64, offset!(skb_route)) & ROUTE;
    if route == 0 {
        return false;
    }
    let device: u64 = memory::field(route, offset!(route_device));
    let index: u32 = memory::field(device, offset!(device_index));
    let lower = device + u64::from(offset!(device_lower));
    index == taken_at && memory::read::<u64>(lower) == lower
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
