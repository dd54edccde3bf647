//! What the host's sockets say of their open TCP connections.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use monitor_common::{FlowKey, Transport};
use netlink_packet_sock_diag::{
    constants::{TCP_CLOSE_WAIT, TCP_ESTABLISHED},
    inet::{
        ExtensionFlags, InetResponse,
        nlas::{Nla, TcpInfo},
    },
};

use super::{
    Error,
    sockets::{Connection, dump, flow_of, listening, open},
};
use crate::observe::PortSet;

/// The longest that TCP waits before it sends again.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);

/// An open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSocket {
    /// Its end at this host.
    pub local: SocketAddr,
    /// Its other end.
    pub remote: SocketAddr,
    /// Timeouts in a row without anything acknowledged.
    pub retransmissions: u8,
    /// The timeout before the first of them, where it can be told.
    pub timeout: Option<Duration>,
    /// Bytes sent and not acknowledged, without FIN.
    pub unacknowledged: u32,
    /// Segments that these are.
    pub segments: u32,
    /// Segments of these that the peer has.
    pub arrived: u32,
    /// Bytes acknowledged in all.
    pub acknowledged: u64,
    /// How long ago the peer was last heard.
    pub heard: Duration,
    /// How long ago data was last sent.
    pub sent: Duration,
    /// Bytes that the peer has room for.
    pub window: u32,
    /// Bytes of data in a full segment.
    pub mss: u32,
}

/// The open TCP connections on documented ports, each with its flow. The kernel walks all its sockets
/// for it.
pub fn sessions(documented: &PortSet) -> Result<Vec<(FlowKey, OpenSocket)>, Error> {
    let listening = listening(Transport::Tcp)?;
    let is_documented = |at: SocketAddr| documented.contains(Transport::Tcp, at.port());
    let mut sockets = Vec::new();
    dump(Transport::Tcp, open(), ExtensionFlags::INFO, |connection, said| {
        if is_documented(connection.local) || is_documented(connection.remote) {
            sockets.extend(open_socket(connection, said).map(|socket| (connection, socket)));
        }
    })?;
    let connections: HashSet<Connection> = sockets.iter().map(|(ends, _)| *ends).collect();
    let placed = sockets.into_iter().filter_map(|(ends, socket)| {
        let flow = flow_of(Transport::Tcp, &ends, &connections, &listening, documented)?;
        Some((flow, socket))
    });
    Ok(placed.collect())
}

fn open_socket(ends: Connection, said: &InetResponse) -> Option<OpenSocket> {
    let info = said
        .nlas
        .iter()
        .find_map(|nla| if let Nla::TcpInfo(info) = nla { Some(info) } else { None })?;
    // What waits to be sent is in the queue too, and so is a FIN.
    let in_flight = said.header.send_queue.saturating_sub(info.notsent_bytes);
    let is_closed = ![TCP_ESTABLISHED, TCP_CLOSE_WAIT].contains(&info.state);
    let unacknowledged = in_flight.saturating_sub(is_closed.into());
    if is_closed && unacknowledged == 0 {
        // The program has closed it, and nothing of it can be lost.
        return None;
    }
    let milliseconds = |number: u32| Duration::from_millis(number.into());
    Some(OpenSocket {
        local: ends.local,
        remote: ends.remote,
        retransmissions: info.retransmits,
        timeout: first_timeout(info),
        unacknowledged,
        segments: info.unacked,
        arrived: info.sacked,
        acknowledged: info.bytes_acked,
        heard: milliseconds(info.last_ack_recv.min(info.last_data_recv)),
        sent: milliseconds(info.last_data_sent),
        window: info.snd_wnd,
        mss: info.snd_mss,
    })
}

/// The timeout doubles with each that passes, up to the longest one.
fn first_timeout(info: &TcpInfo) -> Option<Duration> {
    let timeout = Duration::from_micros(info.rto.into());
    (timeout < LONGEST_TIMEOUT).then(|| timeout / 2_u32.saturating_pow(info.backoff.into()))
}
