//! Reads the kernel's own structs, by offsets that the daemon found in the kernel's description of
//! its types.
//!
//! A read that fails gives zeros: branches on each of many reads are more than older verifiers
//! follow.

#![expect(unsafe_code, reason = "kernel memory is read by address")]

use core::{cell::UnsafeCell, ffi::c_void};

use aya_ebpf::{
    bindings::bpf_raw_tracepoint_args, helpers::generated::bpf_probe_read_kernel,
    programs::sk_buff::SkBuff,
};
use monitor_common::{Offsets, SOCKET_HEAD, packet::Bytes};

use crate::skb;

/// Written by the daemon before the programs are loaded.
#[unsafe(no_mangle)]
static OFFSETS: Offsets = zero();

const fn zero() -> Offsets {
    // SAFETY: plain integers, of which zero is one.
    unsafe { core::mem::zeroed() }
}

/// The daemon's value of an offset.
macro_rules! offset {
    ($field:ident) => {
        $crate::memory::known(core::mem::offset_of!(monitor_common::Offsets, $field))
    };
}
pub(crate) use offset;

/// The number at some bytes of [`OFFSETS`].
#[inline(always)]
pub(crate) fn known(at: usize) -> u32 {
    let number = (&raw const OFFSETS).cast::<u32>().wrapping_byte_add(at);
    // SAFETY: `offset_of` gives the place of a field, all of which are `u32`. Volatile, since the
    // daemon writes them after the compiler has seen zeros.
    unsafe { number.read_volatile() }
}

/// A value at an address, zero where there is none.
#[inline(always)]
pub(crate) fn read<T: Number>(address: u64) -> T {
    #[expect(clippy::cast_possible_truncation, reason = "a number has a few bytes")]
    let size = size_of::<T>() as u32;
    let mut value = T::default();
    // SAFETY: the helper writes as many bytes as the value has, and checks the address itself.
    unsafe {
        bpf_probe_read_kernel((&raw mut value).cast(), size, address as *const c_void);
    }
    value
}

/// A field of the struct at an address.
#[inline(always)]
pub(crate) fn field<T: Number>(address: u64, offset: u32) -> T {
    read(address + u64::from(offset))
}

type SocketHead = [u64; SOCKET_HEAD / size_of::<u64>()];

/// Plain integers, and a few of them.
pub(crate) trait Number: Copy + Default {}
impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}
impl Number for u64 {}
impl Number for [u32; 11] {}
impl Number for SocketHead {}

/// The bytes from an address on. There is always a next one: behind the end it is zero, or another's.
pub(crate) struct Memory(pub(crate) u64);

impl Bytes for Memory {
    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        Some(read(self.0 + at as u64))
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<u16> {
        Some(u16::from_be(read(self.0 + at as u64)))
    }

    #[inline(always)]
    fn long_number(&self, at: usize) -> Option<u32> {
        Some(u32::from_be(read(self.0 + at as u64)))
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<u64> {
        Some(read(self.0 + at as u64))
    }
}

/// An argument of a raw tracepoint.
#[inline(always)]
pub(crate) fn argument(context: *const bpf_raw_tracepoint_args, index: usize) -> u64 {
    let first = context.cast::<u64>();
    // SAFETY: the kernel passes as many words as the tracepoint has arguments, and its verifier
    // refuses a program that reads behind them.
    unsafe { first.wrapping_add(index).read() }
}

/// What is known of the network namespace of a device or socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    Watched,
    Other,
    Unknown,
}

/// The address of the watched namespace's `struct net`, 0 until a program has met it. No other can take
/// its place as long as the daemon is in it.
#[repr(transparent)]
struct Net(UnsafeCell<u64>);

// SAFETY: it is one aligned word, to which the programs write nothing but the same address.
unsafe impl Sync for Net {}

#[unsafe(link_section = ".data.net")]
#[unsafe(no_mangle)]
static WATCHED_NET: Net = Net(UnsafeCell::new(0));

/// The namespace at the address of a `struct net`.
#[inline(always)]
pub(crate) fn namespace(net: u64) -> Namespace {
    if net == 0 {
        return Namespace::Unknown;
    }
    // SAFETY: the static lives as long as the program.
    let watched = unsafe { WATCHED_NET.0.get().read_volatile() };
    if watched != 0 {
        return if net == watched { Namespace::Watched } else { Namespace::Other };
    }
    let inode: u32 = field(net, offset!(namespace_inode));
    if inode != offset!(watched_namespace) {
        return Namespace::Other;
    }
    // SAFETY: as above.
    unsafe { WATCHED_NET.0.get().write_volatile(net) };
    Namespace::Watched
}

/// Whether the socket that a program of `cgroup_skb` runs for is of the watched namespace.
#[inline(always)]
pub(crate) fn is_own_socket_watched(context: &SkBuff) -> bool {
    if offset!(cast_function) != 0 {
        let packet = as_kernel_sees_it(context);
        let socket = follow(packet, offset!(skb_socket));
        return socket != 0
            && namespace(follow(socket, offset!(socket_namespace))) == Namespace::Watched;
    }
    // Without the cast the verifier lets nobody calculate with the address of a socket: its first bytes
    // are read as a whole, by a helper that takes longer than all the rest of the program.
    let head: SocketHead = read(skb::socket(context));
    let index = offset!(socket_namespace) as usize / size_of::<u64>();
    namespace(head.get(index).copied().unwrap_or(0)) == Namespace::Watched
}

/// The address of the `sk_buff` behind a program's view of it, in a form in which the verifier lets the
/// program read its fields. Since 6.2.
#[cfg(target_arch = "bpf")]
#[inline(always)]
fn as_kernel_sees_it(context: &SkBuff) -> u64 {
    let packet: u64;
    // SAFETY: the daemon has put the call of `bpf_cast_to_kern_ctx` in the place of the marker, or the
    // verifier never comes here. The call takes the context, and changes what a call changes.
    unsafe {
        core::arch::asm!(
            "r0 = {marker}",
            marker = const monitor_common::CAST_MARKER,
            inlateout("r1") context.skb => _,
            lateout("r0") packet,
            lateout("r2") _, lateout("r3") _, lateout("r4") _, lateout("r5") _,
        );
    }
    packet
}

/// On the host nothing runs it.
#[cfg(not(target_arch = "bpf"))]
fn as_kernel_sees_it(context: &SkBuff) -> u64 {
    context.skb as u64
}

/// The pointer in a field of a struct whose type the verifier knows.
#[inline(always)]
fn follow(address: u64, offset: u32) -> u64 {
    let field = address.wrapping_add(u64::from(offset)) as *const u64;
    // SAFETY: the verifier knows the type at the address and that it has such a field, and where the
    // address is not one the kernel reads zero.
    unsafe { field.read_volatile() }
}

/// The namespace of a socket; unknown for none.
#[inline(always)]
pub(crate) fn namespace_of_socket(socket: u64) -> Namespace {
    if socket == 0 {
        return Namespace::Unknown;
    }
    namespace(field(socket, offset!(socket_namespace)))
}
