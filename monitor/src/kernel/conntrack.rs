//! What netfilter's table of connections does: how many packets it dropped, and how full it is.

#![expect(clippy::host_endian_bytes, reason = "netlink speaks in the machine's byte order")]

use std::{fs, io};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

/// What connection tracking says of itself in the own network namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Packets that it dropped, on all processors, since it was loaded.
    pub dropped: u64,
    /// Connections in the table.
    pub entries: u64,
    /// Connections that there is room for, on the whole machine.
    pub room: u64,
}

impl Conntrack {
    /// Whether there is hardly any room: what was dropped for want of it may have gone since.
    pub const fn is_full(&self) -> bool {
        self.entries >= self.room / 20 * 19
    }
}

/// Asks for it; `None` where connections are not tracked.
///
/// # Errors
///
/// Why the kernel does not say.
pub fn conntrack() -> io::Result<Option<Conntrack>> {
    // Asking would load the module.
    let number = |name: &str| -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/sys/net/netfilter/{name}"))?;
        text.trim().parse().map_err(io::Error::other)
    };
    let entries = match number("nf_conntrack_count") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    Ok(Some(Conntrack { dropped: dropped()?, entries, room: number("nf_conntrack_max")? }))
}

/// Message of ctnetlink that asks for the statistics of each processor.
const STATISTICS: u16 = 1 << 8 | 4;
/// The attribute with the number of dropped packets.
const DROP: u16 = 10;
/// Bytes of `struct nlmsghdr` and `struct nfgenmsg`, and of the latter.
const REQUEST: usize = 20;
const FAMILY: usize = 4;

fn dropped() -> io::Result<u64> {
    let socket = Socket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = NetlinkBuffer::new([0; REQUEST]);
    request.set_length(20);
    request.set_message_type(STATISTICS);
    request.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    socket.send(&request.into_inner(), 0)?;
    let mut dropped = 0;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !rest.is_empty() {
            let message = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?;
            let body = message.payload();
            match message.message_type() {
                NLMSG_DONE => return Ok(dropped),
                NLMSG_ERROR => {
                    let error = body.first_chunk().map_or(0, |error| i32::from_ne_bytes(*error));
                    return Err(io::Error::from_raw_os_error(-error));
                }
                _ => dropped += drops(body.get(FAMILY..).unwrap_or_default()),
            }
            let length = usize::try_from(message.length()).map_err(io::Error::other)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// The number of dropped packets among the attributes of one processor.
fn drops(attributes: &[u8]) -> u64 {
    let attributes = NlasIterator::new(attributes).map_while(Result::ok);
    let counts = attributes.filter(|attribute| attribute.kind() == DROP);
    let counts = counts.filter_map(|count| count.value().first_chunk().copied());
    counts.map(|count| u64::from(u32::from_be_bytes(count))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_one_processor_are_found_among_the_rest() {
        let mut attributes = Vec::new();
        for (kind, value) in [(4_u16, 7_u32), (DROP, 300), (11, 9)] {
            attributes.extend(8_u16.to_ne_bytes());
            attributes.extend(kind.to_ne_bytes());
            attributes.extend(value.to_be_bytes());
        }
        assert_eq!(drops(&attributes), 300);
        for end in 0..attributes.len() {
            assert!(drops(&attributes[..end]) <= 300, "{end}");
        }
    }

    #[test]
    fn the_table_is_full_a_little_before_the_end() {
        let of = |entries| Conntrack { dropped: 0, entries, room: 1000 };
        assert!(of(950).is_full() && of(1001).is_full() && !of(949).is_full());
    }
}
