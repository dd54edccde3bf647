//! A set of service ports.

use monitor_common::{
    Transport,
    ports::{PORT_WORDS, PortBits, port_bit},
};

/// TCP and UDP ports, as the kernel programs have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet(Box<PortBits>);

impl PortSet {
    /// Adds a port.
    pub fn insert(&mut self, transport: Transport, port: u16) {
        let (index, mask) = port_bit(transport, port);
        self.0[index] |= mask;
    }

    /// Whether the port is in the set.
    pub fn contains(&self, transport: Transport, port: u16) -> bool {
        let (index, mask) = port_bit(transport, port);
        self.0[index] & mask != 0
    }

    /// The bits.
    pub fn bits(&self) -> &PortBits {
        &self.0
    }
}

impl Default for PortSet {
    fn default() -> Self {
        // Made on the heap: it is too large for the stack.
        let words = vec![0; PORT_WORDS].into_boxed_slice();
        Self(words.try_into().unwrap_or_else(|_| Box::new([0; PORT_WORDS])))
    }
}

#[cfg(test)]
mod tests {
    use super::{PortSet, Transport};

    #[test]
    fn holds_exactly_what_was_inserted() {
        let mut set = PortSet::default();
        let inserted = [(Transport::Tcp, 0), (Transport::Tcp, 50051), (Transport::Udp, 65535)];
        for (transport, port) in inserted {
            set.insert(transport, port);
        }
        for transport in [Transport::Tcp, Transport::Udp] {
            for port in 0..=u16::MAX {
                assert_eq!(
                    set.contains(transport, port),
                    inserted.contains(&(transport, port)),
                    "{transport:?} {port}"
                );
            }
        }
    }
}
