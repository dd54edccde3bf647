//! What is beside a flow, and must not change what is said of it.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
};

use nix::sys::socket::{SockaddrStorage, connect};

use super::{
    network::{HIDDEN_CONTAINER, Network, OPEN_CONTAINER},
    plan::{HOST, Net, STRANGER, Scenario, Side},
    play::{accept, reset, socket_at, talk},
    steps::{Kind, Noise, PATIENCE},
};
use crate::{
    DEADLINE, RawSocket,
    frame::{self, IPV4, IPV6, SYN, TCP},
    net::HOST_MAC,
};

/// Every port of a service here, and others.
const SCANNED: std::ops::Range<u16> = 19_900..20_300;

/// Makes it; what containers ask for ends as the kind says.
pub(super) fn make(
    network: &Network,
    scenario: &Scenario,
    (noise, kind): (Noise, Kind),
    step: usize,
    listener: &TcpListener,
) {
    match noise {
        Noise::Scan => scan(network, scenario),
        Noise::StrangerChecks if scenario.flow.side == Side::Server => {
            let own = scenario.address(Net::Near, STRANGER);
            let from = SocketAddr::new(own, scenario.asks_from(Kind::Checked, step));
            let socket = socket_at(&network.peer, from, DEADLINE);
            connect(socket.as_raw_fd(), &SockaddrStorage::from(scenario.asked())).unwrap();
            reset(socket.into());
            drop(accept(listener));
        }
        // Nobody else asks for the peer's service.
        Noise::StrangerChecks => {}
        Noise::Container | Noise::Forwarded => {
            let is_hidden = noise == Noise::Container;
            let container = if is_hidden { HIDDEN_CONTAINER } else { OPEN_CONTAINER };
            let own = scenario.address(Net::Containers, container);
            let from = SocketAddr::new(own, scenario.asks_from(kind, step));
            let to = SocketAddr::new(scenario.peer(), scenario.port());
            let socket = socket_at(&network.container, from, PATIENCE);
            let answer = connect(socket.as_raw_fd(), &SockaddrStorage::from(to));
            assert_eq!(answer.is_ok(), kind == Kind::Works, "{from} asks {to}: {answer:?}");
            if answer.is_ok() {
                talk(socket.into(), accept(listener), 100);
            }
        }
    }
}

fn scan(network: &Network, scenario: &Scenario) {
    let raw = RawSocket::new(&network.router, "eth0");
    let (from, to) = (scenario.address(Net::Near, STRANGER), scenario.address(Net::Near, HOST));
    let kind = if from.is_ipv4() { IPV4 } else { IPV6 };
    for port in SCANNED {
        let segment = frame::tcp(54_321, port, SYN, &[]);
        let mut bytes = frame::ethernet(&[], kind, &frame::packet(from, to, TCP, segment));
        bytes.get_mut(..6).unwrap().copy_from_slice(&HOST_MAC);
        raw.send(&bytes);
    }
}
