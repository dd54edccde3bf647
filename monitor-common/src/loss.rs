//! What was seen and not counted, and why.

/// The index of a counter in the loss map.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loss {
    /// A new flow found the flow map full: its packet is not counted.
    FlowMapFull = 0,
    /// An IP packet whose headers are cut short or contradict themselves.
    Unparsable = 1,
    /// A later fragment: it carries no ports, so its bytes belong to no flow.
    Fragment = 2,
    /// A packet on a documented port of a connection whose opening was not seen, so that the side
    /// is not known.
    Unplaced = 3,
    /// A flow, dropped packet or connection found the map of its hook full.
    MapFull = 4,
    /// A dropped packet on a documented port whose network namespace cannot be told.
    NoNamespace = 5,
    /// A frame for another machine: a bridge or a switch brought it to this host's device.
    OtherMachine = 6,
    /// A packet that this host passes on for guests, containers or as a router.
    Forwarded = 7,
    /// An attempt that was not followed, since too many were open.
    NotFollowed = 8,
    /// A copy that another program made of a packet, at the device that it left by.
    Copy = 9,
}

impl Loss {
    /// How many kinds there are.
    pub const COUNT: u32 = 10;

    /// Every kind, in the order of its index.
    pub const ALL: [Self; Self::COUNT as usize] = [
        Self::FlowMapFull,
        Self::Unparsable,
        Self::Fragment,
        Self::Unplaced,
        Self::MapFull,
        Self::NoNamespace,
        Self::OtherMachine,
        Self::Forwarded,
        Self::NotFollowed,
        Self::Copy,
    ];

    /// The value of the label `what` and the key in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlowMapFull => "flow-map-full",
            Self::Unparsable => "unparsable",
            Self::Fragment => "fragment",
            Self::Unplaced => "unplaced",
            Self::MapFull => "map-full",
            Self::NoNamespace => "no-namespace",
            Self::OtherMachine => "other-machine",
            Self::Forwarded => "forwarded",
            Self::NotFollowed => "attempt-not-followed",
            Self::Copy => "copy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Loss;

    #[test]
    fn index_and_order_agree() {
        for (index, loss) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index);
        }
    }
}
