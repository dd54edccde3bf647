//! `BPF_PROG_QUERY`, as far as aya does not have it without `CAP_SYS_ADMIN`: which programs TCX runs at a
//! device.

#![expect(unsafe_code, reason = "bpf(2) is a system call that takes addresses")]

use std::io;

use aya::programs::TcAttachType;

const PROG_QUERY: libc::c_long = 16;
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;

/// More than the kernel takes at one place.
const MOST: usize = 64;

/// `union bpf_attr`, the part for queries.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    interface: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
    rest: [u64; 4],
}

/// The numbers of the programs, in the order in which they run.
pub(super) fn programs(interface: u32, direction: TcAttachType) -> io::Result<Vec<u32>> {
    let mut programs = vec![0; MOST];
    let mut attributes = Attributes {
        interface,
        attach_type: match direction {
            TcAttachType::Egress => TCX_EGRESS,
            TcAttachType::Ingress | TcAttachType::Custom(_) => TCX_INGRESS,
        },
        programs: programs.as_mut_ptr() as u64,
        count: u32::try_from(MOST).map_err(io::Error::other)?,
        ..Attributes::default()
    };
    // SAFETY: the kernel writes at most `count` numbers, for which the vector has room, and within the
    // attributes; both outlive the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_QUERY, &raw mut attributes, size_of::<Attributes>())
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    programs.truncate(attributes.count as usize);
    Ok(programs)
}
