//! Where the running kernel keeps what the programs read, and how it names its reasons to drop.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, sync::Arc};

use monitor_common::{Offsets, SOCKET_HEAD};

use super::btf::{self, Btf, BtfError};
use crate::observe::UNTOLD;

/// What the running kernel says of itself.
#[derive(Clone, Debug)]
pub struct Knowledge {
    /// What the programs need to read its structs.
    pub offsets: Offsets,
    /// Names of the reasons to drop, without their common prefix; empty before 5.17.
    pub reasons: Reasons,
}

/// Names of the reasons to drop, by the running kernel's numbers.
#[derive(Clone, Debug, Default)]
pub struct Reasons(BTreeMap<u32, Arc<str>>);

impl Reasons {
    /// Whether the kernel names none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of a reason; [`UNTOLD`] where the kernel has none.
    pub fn name(&self, number: u32) -> Arc<str> {
        if self.is_empty() {
            return UNTOLD.into();
        }
        let name = self.0.get(&number).cloned();
        name.unwrap_or_else(|| format!("unknown({number:#x})").into())
    }
}

/// Why the kernel's structs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The kernel does not describe its types.
    #[error("no {path}: {0}", path = btf::PATH)]
    NoBtf(std::io::Error),
    /// The description is damaged, or lacks something.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The own network namespace is hidden.
    #[error("/proc/self/ns/net: {0}")]
    NoNamespace(std::io::Error),
    /// The kernel was built with a larger head of its sockets than the programs read.
    #[error(
        "a socket of this kernel has its network namespace at byte {0}: the programs read {SOCKET_HEAD}"
    )]
    NamespaceBeyondHead(u32),
}

impl Knowledge {
    /// Asks the running kernel.
    pub fn of_this_kernel() -> Result<Self, Unknown> {
        let bytes = fs::read(btf::PATH).map_err(Unknown::NoBtf)?;
        let inode = fs::metadata("/proc/self/ns/net").map_err(Unknown::NoNamespace)?.ino();
        let btf = Btf::parse(&bytes)?;
        // The inodes of namespaces are 32 bits wide.
        let watched = u32::try_from(inode).map_err(|_error| BtfError::Damaged)?;
        let offsets = offsets(&btf, watched)?;
        if offsets.socket_namespace as usize + size_of::<u64>() > SOCKET_HEAD {
            return Err(Unknown::NamespaceBeyondHead(offsets.socket_namespace));
        }
        Ok(Self { offsets, reasons: reasons(&btf) })
    }
}

fn offsets(btf: &Btf<'_>, watched_namespace: u32) -> Result<Offsets, BtfError> {
    Ok(Offsets {
        skb_head: btf.offset("sk_buff", "head")?,
        skb_mac_header: btf.offset("sk_buff", "mac_header")?,
        skb_network_header: btf.offset("sk_buff", "network_header")?,
        skb_end: btf.offset("sk_buff", "end")?,
        skb_route: btf.offset("sk_buff", "_skb_refdst")?,
        route_device: btf.offset("dst_entry", "dev")?,
        skb_device: btf.offset("sk_buff", "dev")?,
        skb_incoming: btf.offset("sk_buff", "skb_iif")?,
        cast_function: btf.function("bpf_cast_to_kern_ctx").unwrap_or(0),
        skb_socket: btf.offset("sk_buff", "sk")?,
        shared_segments: btf.offset("skb_shared_info", "gso_segs")?,
        device_index: btf.offset("net_device", "ifindex")?,
        device_lower: btf.offset("net_device", "adj_list.lower")?,
        device_namespace: btf.offset("net_device", "nd_net.net")?,
        socket_namespace: btf.offset("sock", "__sk_common.skc_net.net")?,
        socket_family: btf.offset("sock", "__sk_common.skc_family")?,
        socket_peer4: btf.offset("sock", "__sk_common.skc_daddr")?,
        socket_peer6: btf.offset("sock", "__sk_common.skc_v6_daddr")?,
        socket_own4: btf.offset("sock", "__sk_common.skc_rcv_saddr")?,
        socket_own6: btf.offset("sock", "__sk_common.skc_v6_rcv_saddr")?,
        socket_peer_port: btf.offset("sock", "__sk_common.skc_dport")?,
        socket_port: btf.offset("sock", "__sk_common.skc_num")?,
        socket_state: btf.offset("sock", "__sk_common.skc_state")?,
        socket_error: btf.offset("sock", "sk_err")?,
        socket_soft_error: btf.offset("sock", "sk_err_soft")?,
        socket_source_port: btf.offset("inet_sock", "inet_sport")?,
        socket_protocol: btf.offset("sock", "sk_protocol")?,
        attempt_socket: btf.offset("bpf_sock_addr_kern", "sk")?,
        attempt_address: btf.offset("bpf_sock_addr_kern", "uaddr")?,
        namespace_inode: btf.offset("net", "ns.inum")?,
        watched_namespace,
        drop_arguments: btf.arguments("kfree_skb").unwrap_or(0),
        retransmit_arguments: btf.arguments("tcp_retransmit_skb").unwrap_or(0),
        tells_refusals: u32::from(btf.function("bpf_get_retval").is_some()),
    })
}

/// Numbers shift between kernels, names do not.
fn reasons(btf: &Btf<'_>) -> Reasons {
    let named = btf.enumerators("skb_drop_reason").into_iter().map(|(number, name)| {
        (number, name.strip_prefix("SKB_DROP_REASON_").unwrap_or(name).into())
    });
    Reasons(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_is_known() {
        let known = Knowledge::of_this_kernel().unwrap();
        assert_eq!(known.offsets.drop_arguments, 4);
        assert!(known.reasons.0.values().any(|name| &**name == "NETFILTER_DROP"));
        let inode = fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert_eq!(u64::from(known.offsets.watched_namespace), inode);
    }
}
