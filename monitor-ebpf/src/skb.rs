//! What the kernel says of a packet beside its linear bytes.

#![expect(unsafe_code, reason = "the context is a pointer to the kernel's view of the packet")]

use aya_ebpf::programs::sk_buff::SkBuff;
use monitor_common::packet::Bytes;

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

/// Whether the outer VLAN tag is kept beside the packet.
#[inline(always)]
pub(crate) fn tagged(context: &SkBuff) -> bool {
    field!(context, vlan_present) != 0
}

/// Index of the device that the packet is at.
#[inline(always)]
pub(crate) fn interface(context: &SkBuff) -> u32 {
    field!(context, ifindex)
}

/// Whether a packet on its way out came in from a device before.
#[inline(always)]
pub(crate) fn came_in(context: &SkBuff) -> bool {
    field!(context, ingress_ifindex) != 0
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
