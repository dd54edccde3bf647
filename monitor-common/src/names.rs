//! Names of the maps and programs in the object, for both who defines and who looks them up.

/// Per-CPU hash of [`FlowKey`](crate::FlowKey) to [`FlowCounts`](crate::FlowCounts).
pub const FLOWS: &str = "FLOWS";
/// Per-CPU hash of [`FlowKey`](crate::FlowKey) to [`FlowCounts`](crate::FlowCounts): what sockets of
/// this host sent and got. Bytes begin with the IP header.
pub const SOCKETS: &str = "SOCKETS";
/// Per-CPU hash of [`DropKey`](crate::DropKey) to [`DropCounts`](crate::DropCounts).
pub const DROPS: &str = "DROPS";
/// Per-CPU hash of [`FlowKey`](crate::FlowKey) to [`ConnectionCounts`](crate::ConnectionCounts).
pub const CONNECTIONS: &str = "CONNECTIONS";
/// Per-CPU hash of [`EventKey`](crate::EventKey) to [`EventCounts`](crate::EventCounts).
pub const EVENTS: &str = "EVENTS";
/// Hash of [`ConnectionKey`](crate::ConnectionKey) to [`Handshake`](crate::Handshake): open handshakes.
pub const HANDSHAKES: &str = "HANDSHAKES";
/// Hash of [`FlowKey`](crate::FlowKey) to [`AttemptCounts`](crate::AttemptCounts).
pub const ATTEMPTS: &str = "ATTEMPTS";
/// Array of one [`Ending`](crate::handshake::Ending).
pub const ENDING: &str = "ENDING";
/// Read-only global of [`Offsets`](crate::Offsets).
pub const OFFSETS: &str = "OFFSETS";
/// Per-CPU array of counters, by [`Loss`](crate::Loss).
pub const LOST: &str = "LOST";
/// The section, and so the map, that holds the documented ports ([`PortBits`](crate::ports::PortBits)).
pub const DOCUMENTED_PORTS: &str = ".data.ports";
/// The section, and so the map, that holds the daemon's own local ports, a `u64`. From
/// the lowest bit: the TCP port of its probes (16), 0 for none; the first UDP port of its questions for names (16), and
/// how many there are (16).
pub const PROBE_PORT: &str = ".data.probe";
/// The section, and so the map, that holds the host's own addresses
/// ([`OwnAddresses`](crate::OwnAddresses)).
pub const OWN_ADDRESSES: &str = ".data.own";
/// Hash of the addresses of peers that the config names one by one, as a [`FlowKey`](crate::FlowKey) has them.
pub const LISTED: &str = "LISTED";
/// How many of them fit.
pub const MOST_LISTED: u32 = 1 << 16;
/// The section, and so the map, that holds how many flows of other peers may still be made, an `i64`.
pub const ROOM: &str = ".data.room";
/// Array of one [`ClockReading`](crate::ClockReading).
pub const CLOCK: &str = "CLOCK";
/// Read-only global of aya-log: the most detailed level that is sent, 0 for none.
pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";

/// Ingress of a device with Ethernet headers.
pub const WIRE_INGRESS: &str = "wire_ingress";
/// Egress of a device with Ethernet headers.
pub const WIRE_EGRESS: &str = "wire_egress";
/// Ingress of a device whose packets start with the IP header.
pub const WIRE_INGRESS_L3: &str = "wire_ingress_l3";
/// Egress of a device whose packets start with the IP header.
pub const WIRE_EGRESS_L3: &str = "wire_egress_l3";
/// Ingress of the loopback device: each packet of the host with itself, once.
pub const WIRE_LOOPBACK: &str = "wire_loopback";
/// Writes [`CLOCK`] when it is run.
pub const READ_CLOCK: &str = "read_clock";
/// Ends the handshake of [`ENDING`] when it is run.
pub const END_HANDSHAKE: &str = "end_handshake";
/// `cgroup_skb` ingress: packets that reach a socket.
pub const SOCKET_INGRESS: &str = "socket_ingress";
/// `cgroup_skb` egress: packets that leave a socket.
pub const SOCKET_EGRESS: &str = "socket_egress";
/// Raw tracepoint `inet_sock_set_state`: what becomes of connections.
pub const CONNECTION: &str = "connection";
/// Raw tracepoint `tcp_retransmit_skb`.
pub const RETRANSMIT: &str = "retransmit";
/// Raw tracepoint `kfree_skb`.
pub const DROP: &str = "drop";
/// `cgroup/connect4`: attempts to connect.
pub const CONNECT4: &str = "connect4";
/// `cgroup/connect6`: the same.
pub const CONNECT6: &str = "connect6";
/// Raw tracepoint `inet_sock_set_state`: attempts that begin.
pub const BEGUN: &str = "begun";
