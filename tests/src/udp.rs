//! Datagrams.

use std::net::{SocketAddr, UdpSocket};

use crate::{DEADLINE, Namespace};

/// A bound socket of a namespace that does not wait for ever.
pub fn udp_socket(namespace: &Namespace, address: SocketAddr) -> UdpSocket {
    let socket = namespace.inside(|| UdpSocket::bind(address)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Sends datagrams of one size, each of which has to arrive before the next is sent. Gives the
/// address that they came from.
pub fn datagrams(
    from: &UdpSocket,
    to: SocketAddr,
    at: &UdpSocket,
    count: u64,
    size: usize,
) -> SocketAddr {
    let payload = vec![0x55; size];
    let mut buffer = vec![0; size + 1];
    let mut last = None;
    for _ in 0..count {
        from.send_to(&payload, to).unwrap();
        let (received, sender) = at.recv_from(&mut buffer).unwrap();
        assert_eq!(received, size);
        last = Some(sender);
    }
    last.unwrap()
}
