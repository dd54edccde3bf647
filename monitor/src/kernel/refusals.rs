//! Who at this host can drop packets without a word of its own: `IPsec` policies, and XDP programs.

use std::fs;

use rtnetlink::packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached},
};

use super::netlink::ask;

/// How often a policy of `IPsec` blocked what this host wanted to send; `None` where the kernel does not
/// count it.
pub fn blocked_by_ipsec() -> Option<u64> {
    let statistics = fs::read_to_string("/proc/self/net/xfrm_stat").ok()?;
    let line = statistics.lines().find(|line| line.starts_with("XfrmOutPolBlock"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a program at XDP runs at an interface.
pub fn runs_xdp(interface: u32) -> bool {
    let mut link = LinkMessage::default();
    link.header.index = interface;
    let answer = ask(RouteNetlinkMessage::GetLink(link));
    let Ok(RouteNetlinkMessage::NewLink(link)) = answer else { return false };
    link.attributes.iter().any(|attribute| {
        let LinkAttribute::Xdp(xdp) = attribute else { return false };
        xdp.iter().any(|it| matches!(it, LinkXdp::Attached(at) if *at != XdpAttached::None))
    })
}
