//! What came of the daemon's own probes, in the shape of the report.

use std::net::SocketAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The last round of probes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Probes {
    /// When it began.
    #[schemars(with = "String")]
    pub began: Timestamp,
    /// When everything had been tried.
    #[schemars(with = "String")]
    pub ended: Timestamp,
    /// What was tried, by expectation, peer, port and address.
    pub results: Vec<Probe>,
}

/// One attempt, or why there was none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// The system, as the config names it.
    pub system: String,
    /// Id of the product in the catalog.
    pub product: String,
    /// Id of the flow in the catalog.
    pub flow: String,
    /// The role of the peers.
    pub peer_group: String,
    /// As the config lists it; `null` for an open group.
    pub peer: Option<String>,
    /// The service port; `null` where there is no single one.
    pub port: Option<u16>,
    /// What was connected to.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// What came of it.
    pub result: ProbeResult,
    /// Until the result.
    pub seconds: Option<f64>,
    /// More of the result, in words.
    pub detail: Option<String>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeResult {
    /// The peer took the connection, which was closed at once.
    Connected,
    /// Answered with RST, by the peer or by a firewall.
    Refused,
    /// No answer in time.
    NoAnswer,
    /// Ended with another error: no route, an ICMP, this host's firewall.
    Failed,
    /// Nothing was sent.
    NotTried,
}

impl ProbeResult {
    /// Whether it was tried, and did not work.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::NoAnswer | Self::Failed)
    }

    /// As the JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::NotTried => "not-tried",
        }
    }
}
