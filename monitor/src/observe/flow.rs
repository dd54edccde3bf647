//! What identifies a flow.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{Side, Transport, transport_name};

/// What identifies an observed flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowId {
    /// The documented destination port.
    pub service_port: u16,
    /// The transport.
    pub transport: Transport,
    /// Which end this host is.
    pub side: Side,
    /// Both ends are this host.
    pub loopback: bool,
    /// The other machine.
    pub peer: IpAddr,
}

impl FlowId {
    /// The same service, asked from the other end.
    #[must_use]
    pub const fn turned(self) -> Self {
        let side = match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        Self { side, ..self }
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service_port, transport, side, loopback: _, peer } = self;
        let transport = transport_name(*transport);
        match side {
            Side::Client => write!(f, "to {peer} port {service_port}/{transport}"),
            Side::Server => write!(f, "from {peer} to port {service_port}/{transport}"),
        }
    }
}
