//! What became of a host's connections, as its sockets say.

/// How a connection, or the attempt at one, ended or began.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Outcome {
    /// It was established.
    Established = 0,
    /// The attempt was answered with RST.
    Refused = 1,
    /// The attempt, or the established connection, got no answer.
    TimedOut = 2,
    /// An ICMP or the lack of a route ended the attempt.
    Unreachable = 3,
    /// The established connection was ended by the peer's RST.
    Reset = 4,
    /// The attempt ended with another error of the socket.
    Failed = 5,
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every outcome, in the order of its index.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Established,
        Self::Refused,
        Self::TimedOut,
        Self::Unreachable,
        Self::Reset,
        Self::Failed,
    ];

    /// The value of the label `outcome`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Failed => "failed",
        }
    }
}

/// The value of the connection map, one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// By [`Outcome`].
    pub outcomes: [u64; Outcome::COUNT],
    /// When the last of each was: in jiffies, 0 for never.
    pub last: [u64; Outcome::COUNT],
    /// Segments that were sent again.
    pub retransmitted: u64,
    /// Segments with SYN that were sent again.
    pub retransmitted_syn: u64,
    /// When a segment was last sent again: in jiffies, 0 for never.
    pub last_retransmitted: u64,
    /// Attempts of this host that had a route: the first segment is next.
    pub begun: u64,
    /// The error of the socket with the last outcome that is a failure, as `errno` numbers it.
    pub error: u64,
}

impl ConnectionCounts {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        outcomes: [0; Outcome::COUNT],
        last: [0; Outcome::COUNT],
        retransmitted: 0,
        retransmitted_syn: 0,
        last_retransmitted: 0,
        begun: 0,
        error: 0,
    };
}

const _: () = assert!(size_of::<ConnectionCounts>() == 136);

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn index_and_order_agree() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }
}
