//! Tries the flows that this host opens: a connection to each peer, closed at once. The command does it
//! now, the daemon every so often.

mod plan;
mod prober;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

pub use self::plan::{Addresses, Planned, names, plan};
pub use self::prober::Prober;
use crate::report::{Probe, ProbeResult};

/// Attempts at once.
pub const AT_ONCE: usize = 32;

/// What came of an address.
#[derive(Clone, Debug)]
struct Tried {
    result: ProbeResult,
    seconds: f64,
    detail: Option<String>,
}

/// Tries everything, each address and port once whoever's they are, from `port` of this host where there
/// is one. An attempt takes no longer than `patience`.
pub async fn attempt(plan: Vec<Planned>, patience: Duration, port: Option<u16>) -> Vec<Probe> {
    let addresses: BTreeSet<SocketAddr> =
        plan.iter().flat_map(|planned| planned.addresses.iter().copied()).collect();
    let attempts = addresses
        .into_iter()
        .map(|address| async move { (address, connect(address, patience, port).await) });
    let tried: BTreeMap<SocketAddr, Tried> =
        stream::iter(attempts).buffer_unordered(AT_ONCE).collect().await;
    plan.into_iter().flat_map(|planned| ended(planned, &tried)).collect()
}

/// What came of a planned attempt, by address.
fn ended(planned: Planned, tried: &BTreeMap<SocketAddr, Tried>) -> Vec<Probe> {
    let Planned { probe, addresses } = planned;
    if addresses.is_empty() {
        return vec![probe];
    }
    let of_address = |address| {
        let Tried { result, seconds, detail } = tried.get(&address)?.clone();
        let seconds = Some(seconds);
        Some(Probe { address: Some(address), result, seconds, detail, ..probe.clone() })
    };
    addresses.into_iter().filter_map(of_address).collect()
}

async fn connect(address: SocketAddr, patience: Duration, port: Option<u16>) -> Tried {
    let began = Instant::now();
    let connected = timeout(patience, open(address, port)).await;
    let seconds = began.elapsed().as_secs_f64();
    let (result, detail) = match connected {
        Ok(Ok(_)) => (ProbeResult::Connected, None),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            (ProbeResult::Refused, None)
        }
        Ok(Err(error)) => (ProbeResult::Failed, Some(error.to_string())),
        Err(_) => (ProbeResult::NoAnswer, Some(format!("none in {patience:?}"))),
    };
    Tried { result, seconds, detail }
}

async fn open(address: SocketAddr, port: Option<u16>) -> io::Result<TcpStream> {
    let (socket, any) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    if let Some(port) = port {
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(any, port))?;
    }
    socket.connect(address).await
}
