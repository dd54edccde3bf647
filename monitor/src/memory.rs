//! What the daemon asks of the C library's allocator.

#![expect(unsafe_code, reason = "mallopt is a function of the C library")]

/// Large buffers are kept apart from the heap, and go back to the system when they are freed.
///
/// A page and the counts of a snapshot take megabytes for a moment. Once some were freed, glibc would
/// take others from the heap, where they leave holes that stay.
#[cfg(target_env = "gnu")]
pub(crate) fn keep_large_buffers_apart() {
    /// In bytes; glibc begins with this limit and raises it.
    const LARGE: libc::c_int = 128 << 10;
    // SAFETY: it sets a number of the allocator's, under the allocator's own lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other C libraries have no such limit.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_large_buffers_apart() {}
