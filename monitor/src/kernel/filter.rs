//! Which program a filter of `clsact` runs.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kernel says many things of a filter")]

use std::io;

use aya::programs::TcAttachType;
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};

/// A filter of all protocols.
const ALL: u16 = 3;

/// The number of the program of a filter, `None` where there is no such filter.
pub(super) fn program(
    interface: u32,
    direction: TcAttachType,
    priority: u16,
    handle: u32,
) -> io::Result<Option<u32>> {
    let index = i32::try_from(interface).map_err(io::Error::other)?;
    let mut filter = TcMessage::with_index(index);
    filter.header.parent = match direction {
        TcAttachType::Egress => TcHandle::from(0xffff_fff3),
        TcAttachType::Ingress | TcAttachType::Custom(_) => TcHandle::from(0xffff_fff2),
    };
    filter.header.handle = TcHandle::from(handle);
    filter.header.info = u32::from(priority) << 16 | u32::from(ALL.to_be());
    filter.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let request = RouteNetlinkMessage::GetTrafficFilter(filter);
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut request = vec![0; message.buffer_len()];
    message.serialize(&mut request);

    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
    match answer.map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewTrafficFilter(found)) => {
            Ok(program_of(&found))
        }
        NetlinkPayload::Error(error) => match error.to_io() {
            // `EINVAL`: without the queueing discipline.
            error if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => Ok(None),
            error => Err(error),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
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
