//! Which program a filter of `clsact` runs, and which filter is the first.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kernel says many things of a filter")]

use std::io;

use aya::programs::TcAttachType;
use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};

use super::netlink::{ask, find};

/// A filter of all protocols.
const ALL: u16 = 3;

/// The number of the program of a filter, `None` where there is no such filter.
pub(super) fn program(
    interface: u32,
    direction: TcAttachType,
    priority: u16,
    handle: u32,
) -> io::Result<Option<u32>> {
    let mut filter = at(interface, direction)?;
    filter.header.handle = TcHandle::from(handle);
    filter.header.info = u32::from(priority) << 16 | u32::from(ALL.to_be());
    filter.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
    match ask(RouteNetlinkMessage::GetTrafficFilter(filter)) {
        Ok(RouteNetlinkMessage::NewTrafficFilter(found)) => Ok(program_of(&found)),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        // `EINVAL`: without the queueing discipline.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Priority and handle of the filter that sees a packet first.
pub(super) fn first(interface: u32, direction: TcAttachType) -> io::Result<Option<(u16, u32)>> {
    let list = RouteNetlinkMessage::GetTrafficFilter(at(interface, direction)?);
    find(list, |message| match message {
        RouteNetlinkMessage::NewTrafficFilter(filter) => identity(filter),
        _ => None,
    })
}

fn at(interface: u32, direction: TcAttachType) -> io::Result<TcMessage> {
    let index = i32::try_from(interface).map_err(io::Error::other)?;
    let mut filter = TcMessage::with_index(index);
    filter.header.parent = match direction {
        TcAttachType::Egress => TcHandle::from(0xffff_fff3),
        TcAttachType::Ingress | TcAttachType::Custom(_) => TcHandle::from(0xffff_fff2),
    };
    Ok(filter)
}

/// `None` for what stands for all filters of a priority, and for a chain that packets only reach from a filter.
fn identity(filter: &TcMessage) -> Option<(u16, u32)> {
    let is_elsewhere =
        |attribute: &TcAttribute| matches!(attribute, TcAttribute::Chain(chain) if *chain != 0);
    let handle = u32::from(filter.header.handle);
    let priority = u16::try_from(filter.header.info >> 16).ok()?;
    (handle != 0 && !filter.attributes.iter().any(is_elsewhere)).then_some((priority, handle))
}

fn program_of(filter: &TcMessage) -> Option<u32> {
    filter.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Options(options) => options.iter().find_map(|option| match option {
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => Some(*id),
            _ => None,
        }),
        _ => None,
    })
}
