//! TCP connections whose every segment is known.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    thread,
    time::Duration,
};

use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
        sockopt,
    },
    time::{TimeVal, TimeValLike as _},
};

use crate::{DEADLINE, Namespace, TcpInfo, until};

/// Sent and not yet received, in bytes: less than the kernel's queues between two namespaces hold,
/// so that nothing is lost.
const IN_FLIGHT: usize = 128 * 1024;

/// A service of a namespace.
pub fn listen(namespace: &Namespace, address: SocketAddr) -> TcpListener {
    namespace.inside(|| TcpListener::bind(address)).unwrap()
}

/// Tries to connect from a namespace.
pub fn attempt(
    namespace: &Namespace,
    address: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    namespace.inside(|| TcpStream::connect_timeout(&address, patience))
}

/// Tries to connect from one address of a namespace.
pub fn attempt_from(
    namespace: &Namespace,
    from: IpAddr,
    to: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    attempt_by(namespace, SocketAddr::new(from, 0), to, patience)
}

/// Tries to connect from one port of a namespace.
pub fn attempt_by(
    namespace: &Namespace,
    from: SocketAddr,
    to: SocketAddr,
    patience: Duration,
) -> io::Result<TcpStream> {
    namespace.inside(|| {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        // It bounds `connect` too.
        setsockopt(
            &socket,
            sockopt::SendTimeout,
            &TimeVal::microseconds(patience.as_micros().try_into().unwrap()),
        )?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
        connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
        Ok(socket.into())
    })
}

/// Tries to connect from a namespace to where nobody may or can answer.
pub fn turned_away(namespace: &Namespace, address: SocketAddr, patience: Duration) {
    if let Ok(open) = attempt(namespace, address, patience) {
        panic!("{address} answers: {open:?}");
    }
}

/// Connects from a port of its own choice.
pub fn connect_from(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> TcpStream {
    namespace.inside(|| {
        let socket =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        bind(fd, &SockaddrStorage::from(from)).unwrap();
        connect(fd, &SockaddrStorage::from(to)).unwrap();
        TcpStream::from(socket)
    })
}

/// An open connection, both ends of it.
#[derive(Debug)]
pub struct Open {
    /// The end that opened it.
    pub client: TcpStream,
    /// The end that accepted it.
    pub server: TcpStream,
}

/// What the kernel says of a connection that is over: the segments of each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// From the client to the server.
    pub up: u64,
    /// From the server to the client.
    pub down: u64,
}

impl Open {
    /// Connects to a service.
    pub fn new(namespace: &Namespace, listener: &TcpListener, address: SocketAddr) -> Self {
        Self::of(attempt(namespace, address, DEADLINE).unwrap(), listener)
    }

    /// Takes the other end of a connection.
    pub fn of(client: TcpStream, listener: &TcpListener) -> Self {
        let (server, from) = listener.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        for end in [&client, &server] {
            end.set_read_timeout(Some(DEADLINE)).unwrap();
            end.set_write_timeout(Some(DEADLINE)).unwrap();
            setsockopt(end, sockopt::SndBuf, &IN_FLIGHT).unwrap();
        }
        Self { client, server }
    }

    /// Sends that many bytes from the client to the server and then as many as said back, and
    /// leaves the connection open. The last segment is acknowledged before this returns.
    pub fn send(&self, up: usize, down: usize) {
        pass(&self.client, &self.server, up);
        pass(&self.server, &self.client, down);
    }

    /// Segments of each direction until now, as the client counts them.
    pub fn segments(&self) -> Exchange {
        let info = TcpInfo::of(&self.client);
        Exchange { up: info.segments_out, down: info.segments_in }
    }

    /// Ends the connection from the client's end and waits until nothing more is on its way.
    ///
    /// The client counts every segment, the server all but the answer to the SYN, which is sent
    /// before it has a socket for the connection: so both ends have to agree, and nothing may have
    /// been sent again.
    pub fn close(self) -> Exchange {
        self.client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        (&self.server).read_to_end(&mut rest).unwrap();
        self.server.shutdown(std::net::Shutdown::Write).unwrap();
        (&self.client).read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), 0, "bytes that nobody read");
        let (client, server) = until("the end of the connection", DEADLINE, || {
            let ends = (TcpInfo::of(&self.client), TcpInfo::of(&self.server));
            if ends.0.is_closed() && ends.1.is_closed() { Ok(ends) } else { Err(ends) }
        });
        assert_eq!((client.retransmitted, server.retransmitted), (0, 0), "segments sent again");
        assert_eq!(client.segments_out, server.segments_in, "{client:?} {server:?}");
        assert_eq!(client.segments_in, server.segments_out + 1, "{client:?} {server:?}");
        Exchange { up: client.segments_out, down: client.segments_in }
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, bytes: usize) {
    thread::scope(|scope| {
        let sender = scope.spawn(move || from.write_all(&vec![0xa5; bytes]));
        let mut buffer = vec![0; bytes];
        to.read_exact(&mut buffer).unwrap();
        assert!(buffer.iter().all(|&byte| byte == 0xa5), "other bytes than were sent");
        sender.join().unwrap().unwrap();
    });
    until("the last acknowledgement", DEADLINE, || match TcpInfo::unacknowledged(from) {
        0 => Ok(()),
        segments => Err(segments),
    });
}
