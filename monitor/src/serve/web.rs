//! What the web port says of itself, for the metrics and the report.

use jiff::Timestamp;

/// Why somebody got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many connections at once.
    Connections,
    /// No TLS, or none that both sides speak, or no certificate that is wanted.
    Handshake,
    /// No password, or a wrong one.
    Password,
    /// Another method than GET and HEAD, a body, or too long a path or head.
    Request,
    /// The connection took too long.
    Time,
}

/// The state of the web port.
#[derive(Clone, Debug, Default)]
pub struct WebState {
    refused: [u64; Refusal::ALL.len()],
    /// When the certificate expires, where there is one.
    pub certificate_expires: Option<Timestamp>,
    /// What is unwise about it, a sentence each.
    pub weaknesses: Vec<String>,
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Connections, Self::Handshake, Self::Password, Self::Request, Self::Time];

    /// Its name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::Password => "password",
            Self::Request => "request",
            Self::Time => "time",
        }
    }
}

impl WebState {
    /// Counts one more.
    pub fn refuse(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal as usize) {
            *count += 1;
        }
    }

    /// How often each was the reason.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.refused)
    }
}
