//! Plays one scenario with real connections, and compares what is said of each step with the model.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
    thread::sleep,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket,
            sockopt,
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use super::{
    model::{self, Counts, End, Said, Seen},
    network::{HIDDEN_CONTAINER, Network},
    noise,
    plan::{HOST, Net, Scenario, Side, Translation},
    steps::{Kind, Step},
    watch::{Watcher, counted, heard},
};
use crate::{DEADLINE, Namespace, TcpInfo, listen, until, wall_clock, within};

/// Until an attempt that was given up has ended for the daemon: as long as its SYN took, and ten seconds.
const END: Duration = Duration::from_secs(30);

/// Plays it. Gives the first step of which something else is said than has to be.
pub(super) fn play(
    network: &Network,
    scenario: &Scenario,
    watcher: &Watcher,
    is_healthy: bool,
) -> Result<(), String> {
    let mut service = Service { network, scenario, listener: None };
    let mut seen = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        let (kind, patience, pause) = match *step {
            Step::Attempt { kind, patience, pause } => (kind, patience, pause),
            Step::Noise { noise, fails } => {
                let kind = if fails { Kind::Lost } else { Kind::Works };
                noise::make(network, scenario, (noise, kind), number, service.listener());
                continue;
            }
        };
        let attempt = service.attempt(kind, patience, number);
        seen.push(attempt);
        if attempt.end != kind.ends() {
            return Err(format!("the network: {attempt:?} of {seen:?}"));
        }
        let expected = model::said(scenario, &seen);
        let what = |said: &Said| format!("{said:?}, not {expected:?}, after {seen:?}");
        let is_so = |report: &_| {
            let said = heard(report, scenario);
            if model::agree(scenario, &seen, &said, &expected) { Ok(()) } else { Err(what(&said)) }
        };
        let done = wall_clock();
        let report =
            within(DEADLINE, || watcher.after(done).and_then(|it| is_so(&it).map(|()| it)))?;
        // And it stays so.
        let later = until("a later report", DEADLINE, || watcher.after(report.taken));
        is_so(&later)?;
        sleep(pause);
    }
    let expected = (model::said(scenario, &seen), model::counts(scenario, &seen));
    let is_so = |report: &_| {
        let mut counted = counted(report, scenario);
        if is_healthy {
            // Answers to the container's own attempts are told to be the host's.
            let Counts { received, transmitted, .. } = expected.1;
            counted = Counts { received, transmitted, ..counted };
        }
        let (said, counts) = (heard(report, scenario), &expected.1);
        if model::agree(scenario, &seen, &said, &expected.0) && counted == *counts {
            Ok(())
        } else {
            Err(format!("{said:?}, {counted:?}, not {expected:?}, after {seen:?}"))
        }
    };
    let report = within(END, || {
        let report = watcher.latest();
        is_so(&report).map(|()| report)
    })?;
    is_so(&*until("a later report", DEADLINE, || watcher.after(report.taken)))
}

/// The service, which may be down, and who asks for it.
struct Service<'a> {
    network: &'a Network,
    scenario: &'a Scenario,
    listener: Option<TcpListener>,
}

impl Service<'_> {
    fn listener(&mut self) -> &TcpListener {
        let Self { network, scenario, listener } = self;
        listener.get_or_insert_with(|| {
            let (namespace, address) = match (scenario.flow.side, scenario.translation) {
                (Side::Server, Translation::Published) => {
                    let own = scenario.address(Net::Containers, HIDDEN_CONTAINER);
                    (&network.container, own)
                }
                (Side::Server, _) => (&network.host, scenario.address(Net::Near, HOST)),
                (Side::Client, _) => (&network.peer, scenario.peer_itself()),
            };
            listen(namespace, SocketAddr::new(address, scenario.listens()))
        })
    }

    fn attempt(&mut self, kind: Kind, patience: Duration, step: usize) -> Seen {
        if kind == Kind::Refused {
            self.listener = None;
        } else {
            self.listener();
        }
        let Self { network, scenario, .. } = self;
        let (namespace, own) = match scenario.flow.side {
            Side::Server => (&network.peer, scenario.peer_itself()),
            Side::Client => (&network.host, scenario.address(Net::Near, HOST)),
        };
        let from = SocketAddr::new(own, scenario.asks_from(kind, step));
        let socket = socket_at(namespace, from, patience);
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(scenario.asked())) {
            Ok(()) if kind == Kind::Checked => {
                reset(socket.into());
                drop(accept(self.listener()));
                Seen { kind, end: End::Reset, sent: 3, got: 1 }
            }
            Ok(()) => {
                let server = accept(self.listener());
                let (sent, got) = talk(socket.into(), server, 1 + step * 100);
                Seen { kind, end: End::Used, sent, got }
            }
            Err(Errno::ECONNREFUSED) => Seen { kind, end: End::Refused, sent: 1, got: 1 },
            Err(Errno::EINPROGRESS) => {
                let sent = TcpInfo::of(&socket).segments_out;
                Seen { kind, end: End::Silence, sent, got: 0 }
            }
            Err(error) => panic!("{from} connects to {}: {error}", scenario.asked()),
        }
    }
}

/// A socket that asks from there, and waits so long.
pub(super) fn socket_at(namespace: &Namespace, from: SocketAddr, patience: Duration) -> OwnedFd {
    namespace.inside(|| {
        let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let patience = TimeVal::milliseconds(patience.as_millis().try_into().unwrap());
        setsockopt(&socket, sockopt::SendTimeout, &patience).unwrap();
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        bind(socket.as_raw_fd(), &SockaddrStorage::from(from)).unwrap();
        socket
    })
}

/// Ends a connection by an RST.
pub(super) fn reset(end: TcpStream) {
    setsockopt(&end, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(end);
}

/// The connection that waits to be accepted.
pub(super) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let (stream, _) = until("a connection to accept", DEADLINE, || listener.accept());
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Passes bytes both ways and closes. Gives the segments that the client sent and got.
pub(super) fn talk(mut client: TcpStream, mut server: TcpStream, bytes: usize) -> (u64, u64) {
    for end in [&client, &server] {
        end.set_read_timeout(Some(DEADLINE)).unwrap();
    }
    let mut buffer = vec![0; bytes];
    client.write_all(&vec![0xa5; bytes]).unwrap();
    server.read_exact(&mut buffer).unwrap();
    server.write_all(&buffer).unwrap();
    client.read_exact(&mut buffer).unwrap();
    assert!(buffer.iter().all(|&byte| byte == 0xa5), "other bytes than were sent");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    server.read_to_end(&mut buffer).unwrap();
    server.shutdown(std::net::Shutdown::Write).unwrap();
    client.read_to_end(&mut buffer).unwrap();
    until("the end of the connection", DEADLINE, || {
        let ends = (TcpInfo::of(&client), TcpInfo::of(&server));
        if !(ends.0.is_closed() && ends.1.is_closed()) {
            return Err(ends);
        }
        Ok((ends.0.segments_out, ends.0.segments_in))
    })
}
