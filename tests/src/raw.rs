//! Frames as they are.

use std::os::fd::OwnedFd;

use crate::{Namespace, sys};

/// Sends frames out of a device.
#[derive(Debug)]
pub struct RawSocket {
    socket: OwnedFd,
    index: u32,
}

impl RawSocket {
    /// At a device of a namespace.
    pub fn new(namespace: &Namespace, device: &str) -> Self {
        Self { socket: namespace.inside(sys::packet_socket), index: namespace.index(device) }
    }

    /// Sends a frame whose bytes lie in a row, as far as the kernel decides.
    pub fn send(&self, frame: &[u8]) {
        self.send_split(frame, 0);
    }

    /// Sends a frame of more than a page, of which only the first bytes lie in the linear part.
    #[expect(clippy::host_endian_bytes, reason = "the kernel's own header for offloads")]
    pub fn send_split(&self, frame: &[u8], linear: u16) {
        let mut bytes = vec![0; 10];
        bytes.get_mut(2..4).unwrap().copy_from_slice(&linear.to_ne_bytes());
        bytes.extend_from_slice(frame);
        sys::send_frame(&self.socket, self.index, &bytes);
    }
}
