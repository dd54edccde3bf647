//! What netfilter's table of connections does: how many packets it dropped, and how full it is.

#![expect(clippy::host_endian_bytes, reason = "netlink speaks in the machine's byte order")]

use std::{fs, io};

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
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_AND_DUMP: u16 = 0x301;
/// `struct nlmsghdr`, and with `struct nfgenmsg`.
const HEADER: usize = 16;
const HEADERS: usize = 20;

fn dropped() -> io::Result<u64> {
    let socket = Socket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = Vec::with_capacity(HEADERS);
    request.extend(20_u32.to_ne_bytes());
    request.extend(STATISTICS.to_ne_bytes());
    request.extend(REQUEST_AND_DUMP.to_ne_bytes());
    request.resize(HEADERS, 0);
    socket.send(&request, 0)?;
    let mut dropped = 0;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((kind, body, after)) = message(rest) {
            match kind {
                DONE => return Ok(dropped),
                ERROR => {
                    let error = body.first_chunk().map_or(0, |error| i32::from_ne_bytes(*error));
                    return Err(io::Error::from_raw_os_error(-error));
                }
                _ => dropped += drops(body.get(HEADERS - HEADER..).unwrap_or_default()),
            }
            rest = after;
        }
    }
}

/// The first message's kind and body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*bytes.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The number of dropped packets among the attributes of one processor.
fn drops(mut attributes: &[u8]) -> u64 {
    let mut dropped = 0;
    while let Some((length, rest)) = attributes.split_first_chunk() {
        let Some((kind, _)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_ne_bytes(*length));
        // The highest bits are flags.
        if u16::from_ne_bytes(*kind) & 0x3fff == DROP
            && let Some(value) = attributes.get(4..).and_then(|value| value.first_chunk())
        {
            dropped += u64::from(u32::from_be_bytes(*value));
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    dropped
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
    fn a_message_that_lies_about_its_length_is_refused() {
        let mut bytes = [0_u8; 24];
        bytes[0] = 24;
        assert_eq!(message(&bytes).map(|(_, body, rest)| (body.len(), rest.len())), Some((8, 0)));
        bytes[0] = 25;
        assert_eq!(message(&bytes), None);
        bytes[0] = 15;
        assert_eq!(message(&bytes), None);
    }

    #[test]
    fn the_table_is_full_a_little_before_the_end() {
        let of = |entries| Conntrack { dropped: 0, entries, room: 1000 };
        assert!(of(950).is_full() && of(1001).is_full() && !of(949).is_full());
    }
}
