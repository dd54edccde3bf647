//! What this kernel and this process can do.

use aya::util::KernelVersion;

/// Whether the running kernel is of this version or newer. `false` where it cannot be told.
pub fn kernel_is_at_least(major: u8, minor: u8) -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(major, minor, 0))
}
