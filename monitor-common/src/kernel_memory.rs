//! Where the running kernel keeps what the programs read of its own structs.

/// How many bytes of a socket are read at once, from its beginning, to learn its network namespace.
pub const SOCKET_HEAD: usize = 56;

/// The number that a program loads where the daemon puts the call of `bpf_cast_to_kern_ctx`.
pub const CAST_MARKER: u32 = 0x0bac_0f10;

/// Offsets in bytes, from the kernel's description of its types. All zero where there is none: then
/// the programs that need them are not loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `sk_buff.head`: a pointer to the packet's memory.
    pub skb_head: u32,
    /// `sk_buff.mac_header`, from `head`; all ones for a packet of this host's before the driver.
    pub skb_mac_header: u32,
    /// `sk_buff.network_header`, from `head`.
    pub skb_network_header: u32,
    /// `sk_buff.end`, from `head`: where `skb_shared_info` begins.
    pub skb_end: u32,
    /// `sk_buff._skb_refdst`: the route of the packet, 0 before it is looked for.
    pub skb_route: u32,
    /// `dst_entry.dev`: the device that a route leads out by.
    pub route_device: u32,
    /// `sk_buff.dev`.
    pub skb_device: u32,
    /// `sk_buff.skb_iif`: the index of the device that the packet came in by, 0 for this host's own.
    pub skb_incoming: u32,
    /// The number of the kernel's function `bpf_cast_to_kern_ctx`, 0 for none. Since 6.2.
    pub cast_function: u32,
    /// `sk_buff.sk`.
    pub skb_socket: u32,
    /// `skb_shared_info.gso_segs`.
    pub shared_segments: u32,
    /// `net_device.ifindex`.
    pub device_index: u32,
    /// `net_device.adj_list.lower`: a list of the devices that a device stands on.
    pub device_lower: u32,
    /// `net_device.nd_net.net`.
    pub device_namespace: u32,
    /// `sock.__sk_common.skc_net.net`.
    pub socket_namespace: u32,
    /// `sock.__sk_common.skc_family`.
    pub socket_family: u32,
    /// `sock.__sk_common.skc_daddr`.
    pub socket_peer4: u32,
    /// `sock.__sk_common.skc_v6_daddr`.
    pub socket_peer6: u32,
    /// `sock.__sk_common.skc_rcv_saddr`.
    pub socket_own4: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`.
    pub socket_own6: u32,
    /// `sock.__sk_common.skc_dport`, in network byte order.
    pub socket_peer_port: u32,
    /// `sock.__sk_common.skc_num`, in the processor's byte order.
    pub socket_port: u32,
    /// `sock.__sk_common.skc_state`.
    pub socket_state: u32,
    /// `sock.sk_err`.
    pub socket_error: u32,
    /// `sock.sk_err_soft`.
    pub socket_soft_error: u32,
    /// `inet_sock.inet_sport`: the port that segments are sent from, 0 as long as there is none.
    pub socket_source_port: u32,
    /// `sock.sk_protocol`.
    pub socket_protocol: u32,
    /// `bpf_sock_addr_kern.sk`: the socket of an attempt.
    pub attempt_socket: u32,
    /// `bpf_sock_addr_kern.uaddr`: the address that it asks for.
    pub attempt_address: u32,
    /// `net.ns.inum`: the inode of the namespace.
    pub namespace_inode: u32,
    /// Inode of the namespace that is watched.
    pub watched_namespace: u32,
    /// How many arguments the tracepoint `kfree_skb` has: the third is the reason, the fourth the
    /// receiving socket.
    pub drop_arguments: u32,
    /// How many arguments the tracepoint `tcp_retransmit_skb` has: the third is the error of sending.
    pub retransmit_arguments: u32,
    /// 1 where a program at a cgroup can ask what those before it said (`bpf_get_retval`, since 5.18).
    pub tells_refusals: u32,
}

const _: () = assert!(size_of::<Offsets>() == 34 * 4 && align_of::<Offsets>() == 4);
