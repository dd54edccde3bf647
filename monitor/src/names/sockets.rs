//! Sockets for the daemon's own questions, on ports that are known beforehand.
//!
//! A question for a name is no traffic of the host's backups, and DNS is a documented flow. The kernel programs
//! leave these ports out of every count, so no other program may get one of them: they are held while the
//! daemon runs. A question by TCP, after an answer that is too large, has a port of its own and is counted.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket as StdSocket},
    ops::Range,
    os::fd::AsRawFd as _,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider, TokioTime,
};
use monitor_common::Transport;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt::Ipv6V6Only,
};
use tokio::{
    io::ReadBuf,
    net::UdpSocket,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::observe::PortSet;

/// Questions that are under way at a time: for A and AAAA records of each name, to two servers.
const PORTS: u16 = 32;

/// Tries for so many ports in a row of which none is taken or documented.
const TRIES: usize = 64;

/// Answers that came after nobody waited for them, and are thrown away before a socket is used again.
const MOST_LATE: usize = 64;

type Boxed<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

/// Gives out sockets for questions; ordinary ones where no ports could be held.
#[derive(Clone, Default)]
pub struct Sockets {
    tokio: TokioRuntimeProvider,
    held: Option<Arc<Held>>,
}

#[derive(Debug)]
struct Held {
    ports: Range<u16>,
    /// They are of IPv6 and take IPv4 too; of IPv4 on a host without IPv6.
    are_v6: bool,
    free: Mutex<Vec<UdpSocket>>,
    turns: Arc<Semaphore>,
}

/// A socket until its question is answered.
#[derive(Debug)]
pub struct Borrowed {
    socket: Option<UdpSocket>,
    /// Where it goes back to, before it is the next one's turn.
    held: Option<Arc<Held>>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Sockets {
    /// Holds ports in a row that are not documented.
    pub fn hold(documented: &PortSet) -> io::Result<Self> {
        for _ in 0..TRIES {
            // The kernel gives the first one, by chance: an answer is as hard to forge as ever.
            let first = StdSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.local_addr()?.port();
            let Some(end) = first.checked_add(PORTS) else { continue };
            let ports = first..end;
            if ports.clone().any(|port| documented.contains(Transport::Udp, port)) {
                continue;
            }
            let (sockets, are_v6) = match ports.clone().map(of_both).collect() {
                Err(error) if is_taken(&error) => continue,
                Err(_) => (ports.clone().map(of_v4).collect(), false),
                Ok(sockets) => (Ok(sockets), true),
            };
            let sockets: Vec<UdpSocket> = match sockets {
                Err(error) if is_taken(&error) => continue,
                other => other?,
            };
            let turns = Arc::new(Semaphore::new(sockets.len()));
            let held = Held { ports, are_v6, free: Mutex::new(sockets), turns };
            return Ok(Self { held: Some(Arc::new(held)), ..Self::default() });
        }
        Err(io::Error::other("all that were tried are taken or documented"))
    }

    /// The ports that are held; an empty range for none.
    pub fn ports(&self) -> Range<u16> {
        self.held.as_ref().map_or(0..0, |held| held.ports.clone())
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// A socket for IPv6 and IPv4, whatever `net.ipv6.bindv6only` says.
fn of_both(port: u16) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet6, SockType::Datagram, flags, None)?;
    setsockopt(&fd, Ipv6V6Only, &false)?;
    let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    bind(fd.as_raw_fd(), &SockaddrIn6::from(address))?;
    UdpSocket::from_std(fd.into())
}

fn of_v4(port: u16) -> io::Result<UdpSocket> {
    let socket = StdSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

impl Held {
    /// Waits for a socket that nobody uses.
    async fn borrow(held: Arc<Self>) -> io::Result<Borrowed> {
        let turn = Arc::clone(&held.turns).acquire_owned().await.map_err(io::Error::other)?;
        let free = held.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let socket = free.ok_or_else(|| io::Error::other("no socket is free"))?;
        let mut late = [0; 1];
        for _ in 0..MOST_LATE {
            if socket.try_recv_from(&mut late).is_err() {
                break;
            }
        }
        Ok(Borrowed { socket: Some(socket), held: Some(held), _turn: Some(turn) })
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let (Some(socket), Some(held)) = (self.socket.take(), &self.held) {
            held.free.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        }
    }
}

impl Borrowed {
    fn socket(&self) -> io::Result<&UdpSocket> {
        self.socket.as_ref().ok_or_else(|| io::Error::other("the socket was given back"))
    }
}

impl DnsUdpSocket for Borrowed {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        let from = ready!(self.socket()?.poll_recv_from(cx, &mut buf))?;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        Poll::Ready(Ok((buf.filled().len(), from)))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let is_mapped = self.held.as_ref().is_some_and(|held| held.are_v6);
        let target = match target.ip() {
            IpAddr::V4(v4) if is_mapped => {
                SocketAddr::new(v4.to_ipv6_mapped().into(), target.port())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => target,
        };
        self.socket()?.poll_send_to(cx, buf, target)
    }
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = Borrowed;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Boxed<Self::Tcp> {
        self.tokio.connect_tcp(server, bind, timeout)
    }

    fn bind_udp(&self, local: SocketAddr, _server: SocketAddr) -> Boxed<Borrowed> {
        let held = self.held.clone();
        Box::pin(async move {
            if let Some(held) = held {
                return Held::borrow(held).await;
            }
            let socket = UdpSocket::bind(local).await?;
            Ok(Borrowed { socket: Some(socket), held: None, _turn: None })
        })
    }
}
