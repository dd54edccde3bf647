//! A real client and a real service.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use serde::Deserialize;
use tests::{DEADLINE, Namespace, Pair, attempt_from, listen, udp_socket};

/// How long an answer takes at most between two namespaces.
const PATIENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    In,
    Out,
    /// From the host to itself.
    Within,
}

/// A service that listens, for as long as the test needs it.
#[derive(Debug)]
pub(super) enum Service {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// What tells a service from others.
pub(super) type Key = (Way, Transport, SocketAddr);

/// One client and one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe {
    pub(super) way: Way,
    pub(super) transport: Transport,
    pub(super) service: SocketAddr,
    pub(super) client: IpAddr,
}

impl Probe {
    /// Where the client is, and where the service.
    fn ends<'p>(&self, pair: &'p Pair) -> (&'p Namespace, &'p Namespace) {
        match self.way {
            Way::In => (&pair.peer, &pair.host),
            Way::Out => (&pair.host, &pair.peer),
            Way::Within => (&pair.host, &pair.host),
        }
    }

    /// What tells its service from others.
    pub(super) fn key(&self) -> Key {
        (self.way, self.transport, self.service)
    }

    /// Starts its service.
    pub(super) fn serve(&self, pair: &Pair) -> Service {
        let (_, to) = self.ends(pair);
        match self.transport {
            Transport::Tcp => Service::Tcp(listen(to, self.service)),
            Transport::Udp => Service::Udp(udp_socket(to, self.service)),
        }
    }

    /// A byte there and one back.
    pub(super) fn passes(&self, pair: &Pair, service: &Service) -> io::Result<()> {
        let (from, _) = self.ends(pair);
        let mut byte = [0];
        match service {
            Service::Tcp(listener) => {
                let mut client = attempt_from(from, self.client, self.service, DEADLINE)?;
                let (mut server, peer) = listener.accept()?;
                assert_eq!(peer.ip(), self.client);
                for end in [&client, &server] {
                    end.set_read_timeout(Some(DEADLINE))?;
                }
                client.write_all(b"?")?;
                server.read_exact(&mut byte)?;
                server.write_all(b"!")?;
                client.read_exact(&mut byte)?;
            }
            Service::Udp(server) => {
                let client = udp_socket(from, SocketAddr::new(self.client, 0));
                client.send_to(b"?", self.service)?;
                let (_, peer) = server.recv_from(&mut byte)?;
                assert_eq!(peer.ip(), self.client);
                server.send_to(b"!", peer)?;
                client.recv_from(&mut byte)?;
            }
        }
        assert_eq!(byte, *b"!");
        Ok(())
    }
}

/// The clients of one service get no answer, and it hears of none.
pub(super) fn none_passes(clients: &[Probe], pair: &Pair, service: &Service) {
    match service {
        Service::Tcp(listener) => {
            for probe in clients {
                let (from, _) = probe.ends(pair);
                let error = attempt_from(from, probe.client, probe.service, PATIENCE)
                    .expect_err(&format!("{probe:?} gets through"));
                // No answer within the time, and no refusal either.
                assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "{probe:?}: {error}");
            }
            listener.set_nonblocking(true).unwrap();
            let error = listener.accept().expect_err("a connection");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            listener.set_nonblocking(false).unwrap();
        }
        Service::Udp(server) => {
            for probe in clients {
                let (from, _) = probe.ends(pair);
                let client = udp_socket(from, SocketAddr::new(probe.client, 0));
                match client.send_to(b"?", probe.service) {
                    Ok(_) => assert_eq!(probe.way, Way::In, "{probe:?} is sent"),
                    // What the host's own firewall drops on the way out is not sent.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}"),
                }
            }
            server.set_read_timeout(Some(PATIENCE)).unwrap();
            let error = server.recv_from(&mut [0]).expect_err("a datagram");
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            server.set_read_timeout(Some(DEADLINE)).unwrap();
        }
    }
}
