//! The interfaces of the network namespace, and which of them packets are counted at.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kernel has many kinds of devices")]

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _};
use monitor_common::packet::Link;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_route::{
        RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage},
    },
};
use tokio::{sync::watch, time::timeout};

/// How long the list may be out of date where the kernel's messages got lost.
const REFRESH: Duration = Duration::from_secs(30);

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index, which a name can change hands of.
    pub index: u32,
    /// Its name.
    pub name: Arc<str>,
    /// How packets are counted at it.
    pub place: Place,
}

/// The interfaces, as they were last listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// By index.
    pub list: Vec<Interface>,
    /// The addresses of this host, in order.
    pub addresses: Vec<IpAddr>,
    /// How often the kernel had more to say of them than was read in time. The list was made anew then.
    pub overruns: u64,
}

/// Where an interface stands on the way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The host's packets to itself.
    Loopback,
    /// Packets enter or leave the host, beginning with this header.
    Edge(Link),
    /// It stands on other interfaces of this host, and every packet was or will be seen there.
    Stacked,
    /// Its packets begin with a header that is not understood.
    Unsupported,
}

/// Keeps a list of the interfaces up to date until the receivers are gone.
///
/// # Errors
///
/// The first list could not be had. Later failures are fixed by asking again.
pub async fn watch_interfaces() -> Result<watch::Receiver<Interfaces>, rtnetlink::Error> {
    let (connection, handle, mut messages) = subscribe()?;
    tokio::spawn(connection);
    let first = list(&handle).await?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        let mut handle = handle;
        while !sender.is_closed() {
            let mut overruns = 0;
            // Any message means that something changed. What is already there is one change.
            match timeout(REFRESH, messages.next()).await {
                Ok(Some((first, _))) => {
                    overruns = u64::from(is_overrun(&first));
                    while let Ok((next, _)) = messages.try_recv() {
                        overruns += u64::from(is_overrun(&next));
                    }
                }
                Ok(None) => match subscribe() {
                    Ok((connection, new_handle, new_messages)) => {
                        tokio::spawn(connection);
                        (handle, messages) = (new_handle, new_messages);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "interfaces cannot be watched, trying again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
                Err(_) => {}
            }
            if overruns > 0 {
                tracing::warn!(
                    "more interfaces changed than was read in time: they are listed anew"
                );
            }
            match list(&handle).await {
                Ok(list) => {
                    sender.send_if_modified(|known| {
                        let now = Interfaces { overruns: known.overruns + overruns, ..list };
                        let changed = *known != now;
                        *known = now;
                        changed
                    });
                }
                Err(error) => tracing::warn!(%error, "interfaces cannot be listed, trying again"),
            }
        }
    });
    Ok(receiver)
}

type Message = NetlinkMessage<RouteNetlinkMessage>;

type Subscription = (
    rtnetlink::proto::Connection<RouteNetlinkMessage>,
    Handle,
    futures_channel::mpsc::UnboundedReceiver<(Message, rtnetlink::sys::SocketAddr)>,
);

/// Whether the kernel dropped messages (`ENOBUFS`).
const fn is_overrun(message: &Message) -> bool {
    matches!(message.payload, NetlinkPayload::Overrun(_))
}

/// Asks for the kernel's messages before the first list, so that nothing falls between.
fn subscribe() -> Result<Subscription, rtnetlink::Error> {
    use MulticastGroup::{Ipv4Ifaddr, Ipv6Ifaddr, Link};

    new_multicast_connection(&[Link, Ipv4Ifaddr, Ipv6Ifaddr])
        .map_err(|error| rtnetlink::Error::NamespaceError(error.to_string()))
}

async fn list(handle: &Handle) -> Result<Interfaces, rtnetlink::Error> {
    let mut list: Vec<Interface> = handle
        .link()
        .get()
        .execute()
        .try_filter_map(|message| async move { Ok(interface(&message)) })
        .try_collect()
        .await?;
    list.sort_by_key(|interface| interface.index);
    let mut addresses: Vec<IpAddr> = handle
        .address()
        .get()
        .execute()
        .try_filter_map(|message| async move { Ok(address(&message)) })
        .try_collect()
        .await?;
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Interfaces { list, addresses, overruns: 0 })
}

/// The host's end: of a link with two ends, `IFA_ADDRESS` is the other one.
fn address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

fn interface(message: &LinkMessage) -> Option<Interface> {
    let mut name = None;
    let mut kind = None;
    let mut in_other_namespace = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(value) => name = Some(value.as_str().into()),
            LinkAttribute::LinkNetNsId(_) => in_other_namespace = true,
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(Interface {
        index: message.header.index,
        name: name?,
        place: place(message.header.link_layer_type, kind.as_ref(), in_other_namespace),
    })
}

/// Each packet is counted at the lowest interface of this namespace that it crosses. That of a
/// device in another namespace is not ours to see.
fn place(layer: LinkLayerType, kind: Option<&InfoKind>, lower_is_elsewhere: bool) -> Place {
    match kind {
        Some(
            InfoKind::Bridge | InfoKind::Bond | InfoKind::Team | InfoKind::Vrf | InfoKind::Ifb,
        ) => {
            return Place::Stacked;
        }
        Some(InfoKind::Other(other)) if other == "openvswitch" => return Place::Stacked,
        Some(
            InfoKind::Vlan
            | InfoKind::MacVlan
            | InfoKind::MacVtap
            | InfoKind::IpVlan
            | InfoKind::IpVtap,
        ) if !lower_is_elsewhere => return Place::Stacked,
        _ => {}
    }
    match layer {
        LinkLayerType::Loopback => Place::Loopback,
        LinkLayerType::Ether => Place::Edge(Link::Ethernet),
        LinkLayerType::None
        | LinkLayerType::Rawip
        | LinkLayerType::Ppp
        | LinkLayerType::Tunnel
        | LinkLayerType::Tunnel6
        | LinkLayerType::Sit
        | LinkLayerType::Ipgre
        | LinkLayerType::Ip6gre => Place::Edge(Link::Ip),
        _ => Place::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_interface_counts() {
        let ethernet = LinkLayerType::Ether;
        for (kind, elsewhere, expected) in [
            (None, false, Place::Edge(Link::Ethernet)),
            (Some(InfoKind::Veth), true, Place::Edge(Link::Ethernet)),
            (Some(InfoKind::Vxlan), false, Place::Edge(Link::Ethernet)),
            (Some(InfoKind::Bridge), false, Place::Stacked),
            (Some(InfoKind::Bond), false, Place::Stacked),
            (Some(InfoKind::Vlan), false, Place::Stacked),
            (Some(InfoKind::MacVlan), true, Place::Edge(Link::Ethernet)),
        ] {
            assert_eq!(place(ethernet, kind.as_ref(), elsewhere), expected, "{kind:?}");
        }
        assert_eq!(place(LinkLayerType::None, Some(&InfoKind::Tun), false), Place::Edge(Link::Ip));
        assert_eq!(place(LinkLayerType::Loopback, None, false), Place::Loopback);
        assert_eq!(place(LinkLayerType::Infiniband, None, false), Place::Unsupported);
    }
}
