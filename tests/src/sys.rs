//! System calls that take addresses.

#![expect(unsafe_code, reason = "system calls that no crate here wraps")]

use std::{
    ffi::{c_int, c_void},
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
    time::Duration,
};

/// What the kernel says of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Where it is between opening and end.
    pub state: u8,
    /// Segments that were sent again.
    pub retransmitted: u32,
    /// Segments sent, as on the wire.
    pub segments_out: u64,
    /// Segments received, as on the wire.
    pub segments_in: u64,
    /// How long ago the other end was last heard.
    pub heard: Duration,
}

impl TcpInfo {
    /// Of a socket.
    pub fn of(socket: impl AsFd) -> Self {
        let bytes = read(socket);
        Self {
            state: bytes[0],
            retransmitted: number(&bytes, 100),
            segments_out: number(&bytes, 136).into(),
            segments_in: number(&bytes, 140).into(),
            heard: Duration::from_millis(number(&bytes, 52).min(number(&bytes, 56)).into()),
        }
    }

    /// Segments of a socket that the other end has not acknowledged.
    pub(crate) fn unacknowledged(socket: impl AsFd) -> u32 {
        number(&read(socket), 24)
    }

    /// Whether nothing more is sent or received.
    pub fn is_closed(&self) -> bool {
        const CLOSE: u8 = 7;
        self.state == CLOSE
    }
}

/// `struct tcp_info`, as far as this kernel has it.
fn read(socket: impl AsFd) -> [u8; 256] {
    let mut bytes = [0_u8; 256];
    let mut length = 256;
    // SAFETY: the kernel writes at most `length` bytes, which the array has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    check(result).unwrap();
    bytes
}

#[expect(clippy::host_endian_bytes, reason = "a field of a structure of the kernel")]
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(*bytes.get(at..).unwrap().first_chunk().unwrap())
}

/// A socket of MPTCP.
pub fn multipath_socket() -> OwnedFd {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no address.
    let fd = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_MPTCP) };
    own(check(fd).unwrap())
}

/// A socket for frames as they are, with the kernel's header for offloads before each.
pub(crate) fn packet_socket() -> OwnedFd {
    const WITH_HEADER: c_int = 15;
    // SAFETY: the call takes no address.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    check(fd).unwrap();
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let yes: c_int = 1;
    // SAFETY: the kernel reads one integer, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_PACKET,
            WITH_HEADER,
            (&raw const yes).cast(),
            libc::socklen_t::try_from(size_of::<c_int>()).unwrap(),
        )
    };
    check(result).unwrap();
    socket
}

/// Sends a frame at a device.
pub(crate) fn send_frame(socket: &OwnedFd, index: u32, frame: &[u8]) {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap(),
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index).unwrap(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads the frame and the address, which live through the call.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const address).cast(),
            libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap(),
        )
    };
    assert_eq!(usize::try_from(sent), Ok(frame.len()), "{}", io::Error::last_os_error());
}

/// Makes an open `/dev/net/tun` the device of that name, whose packets begin with the IP header.
pub(crate) fn make_tun(device: &OwnedFd, name: &str) {
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    const TUN_WITHOUT_HEADER: u16 = 0x1001;
    let mut request = [0_u8; 40];
    let name = name.as_bytes();
    assert!(name.len() < 16, "a device's name has at most 15 letters");
    request.get_mut(..name.len()).unwrap().copy_from_slice(name);
    #[expect(clippy::host_endian_bytes, reason = "a field of a structure of the kernel")]
    request.get_mut(16..18).unwrap().copy_from_slice(&TUN_WITHOUT_HEADER.to_ne_bytes());
    // SAFETY: the kernel reads and writes a `struct ifreq`, which has these 40 bytes.
    let result = unsafe {
        libc::ioctl(device.as_raw_fd(), TUNSETIFF, request.as_mut_ptr().cast::<c_void>())
    };
    check(result).unwrap();
}

/// `bpf(2)` with the first bytes of its attributes.
pub(crate) fn bpf(command: c_int, attributes: &mut [u64]) -> io::Result<c_int> {
    // SAFETY: the kernel reads and writes within the attributes; addresses in them are of what
    // the caller keeps through the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes))
    };
    check(c_int::try_from(result).unwrap())
}

/// Takes ownership of a descriptor that a call just made.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass what the kernel has just returned to them.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
