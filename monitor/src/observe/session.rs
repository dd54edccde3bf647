//! What a socket says of its open connection.

use std::net::SocketAddr;

use jiff::SignedDuration;

use super::{FlowId, Side};

/// An open TCP connection of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The flow that it belongs to.
    pub flow: FlowId,
    /// Its end at this host.
    pub local: SocketAddr,
    /// Its other end.
    pub remote: SocketAddr,
    /// How often in a row a timeout made this host send again, without anything being acknowledged.
    pub retransmissions: u8,
    /// The timeout before the first of these; it doubles with each. `None` where it is at its limit, so
    /// that the first cannot be told.
    pub timeout: Option<SignedDuration>,
    /// Bytes sent and not acknowledged.
    pub unacknowledged: u32,
    /// Segments that these are.
    pub segments: u32,
    /// How many of them the peer says to have, although earlier ones are missing.
    pub arrived: u32,
    /// Bytes that the peer has acknowledged since the connection was opened.
    pub acknowledged: u64,
    /// How long ago the peer was last heard.
    pub heard: SignedDuration,
    /// How long ago data was last sent.
    pub sent: SignedDuration,
    /// Bytes that the peer has room for. 0: its program does not read.
    pub window: u32,
    /// Bytes of data in a full segment.
    pub mss: u32,
}

impl Session {
    /// The port that is not the service's.
    pub const fn port(&self) -> u16 {
        match self.flow.side {
            Side::Client => self.local.port(),
            Side::Server => self.remote.port(),
        }
    }
}
