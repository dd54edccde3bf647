//! What metrics there are.

use prometheus::proto::MetricType;

/// Name, type and help of every metric.
pub const METRICS: &[(&str, MetricType, &str)] = &[
    (
        "backupflow_attempts_total",
        MetricType::COUNTER,
        "Attempts to connect, by what became of them on the wire.",
    ),
    ("backupflow_build_info", MetricType::GAUGE, "Always 1, with the version of the daemon."),
    (
        "backupflow_catalog_info",
        MetricType::GAUGE,
        "Always 1 for each product in use, with the documents its flows come from.",
    ),
    (
        "backupflow_config_last_reload_successful",
        MetricType::GAUGE,
        "Whether the config was applied when it was last read.",
    ),
    (
        "backupflow_config_last_reload_success_timestamp_seconds",
        MetricType::GAUGE,
        "When a config was last applied.",
    ),
    (
        "backupflow_connections_total",
        MetricType::COUNTER,
        "Connections and attempts of this host's sockets, by what became of them.",
    ),
    (
        "backupflow_discrepancy",
        MetricType::GAUGE,
        "Always 1 for an expectation that fails, with the cause.",
    ),
    (
        "backupflow_discrepancy_info",
        MetricType::GAUGE,
        "Always 1 for an expectation that fails, with its cause, its verdict and the document's requirement.",
    ),
    (
        "backupflow_discrepancy_peer_since_timestamp_seconds",
        MetricType::GAUGE,
        "Since when an expectation fails with a peer, of the 8 worst peers.",
    ),
    (
        "backupflow_discrepancy_since_timestamp_seconds",
        MetricType::GAUGE,
        "Since when an expectation fails.",
    ),
    (
        "backupflow_expectation_last_success_timestamp_seconds",
        MetricType::GAUGE,
        "When an expectation was last seen to work. Absent until it has worked.",
    ),
    (
        "backupflow_expectation_verdict",
        MetricType::GAUGE,
        "1 for the verdict of an expectation, 0 for the others.",
    ),
    ("backupflow_expectations", MetricType::GAUGE, "Expectations of a system, by verdict."),
    (
        "backupflow_flow_dropped_packets_total",
        MetricType::COUNTER,
        "Packets that this host dropped, by the kernel's reason.",
    ),
    (
        "backupflow_flow_icmp_errors_total",
        MetricType::COUNTER,
        "ICMP errors about packets of the flow, by direction and by what they say.",
    ),
    (
        "backupflow_flow_last_seen_timestamp_seconds",
        MetricType::GAUGE,
        "When a packet of the flow was last seen, 0 for never.",
    ),
    (
        "backupflow_flow_receive_bytes_total",
        MetricType::COUNTER,
        "Bytes from the peers to this host.",
    ),
    (
        "backupflow_flow_receive_packets_total",
        MetricType::COUNTER,
        "Packets from the peers to this host.",
    ),
    (
        "backupflow_flow_retransmitted_segments_total",
        MetricType::COUNTER,
        "TCP segments that this host sent again.",
    ),
    (
        "backupflow_flow_transmit_bytes_total",
        MetricType::COUNTER,
        "Bytes from this host to the peers.",
    ),
    (
        "backupflow_flow_transmit_packets_total",
        MetricType::COUNTER,
        "Packets from this host to the peers.",
    ),
    ("backupflow_hook_attached", MetricType::GAUGE, "Whether a hook watches."),
    (
        "backupflow_interface_overruns_total",
        MetricType::COUNTER,
        "How often the kernel's messages about interfaces got lost. They are listed anew then.",
    ),
    (
        "backupflow_last_drain_timestamp_seconds",
        MetricType::GAUGE,
        "When the counts were last read from the kernel.",
    ),
    (
        "backupflow_lost_total",
        MetricType::COUNTER,
        "Packets that were seen and not counted, by what was wrong.",
    ),
    ("backupflow_map_capacity", MetricType::GAUGE, "Entries that a map has room for."),
    ("backupflow_map_entries", MetricType::GAUGE, "Entries in a map."),
    (
        "backupflow_name_addresses",
        MetricType::GAUGE,
        "Addresses that a name among the peers stands for, 0 where it is not resolved.",
    ),
    (
        "backupflow_name_changes_total",
        MetricType::COUNTER,
        "How often a name among the peers was resolved to other addresses than before.",
    ),
    (
        "backupflow_probe_duration_seconds",
        MetricType::GAUGE,
        "How long the last probe of a peer's port took.",
    ),
    (
        "backupflow_probe_last_timestamp_seconds",
        MetricType::GAUGE,
        "When the last round of the daemon's own probes ended.",
    ),
    (
        "backupflow_probe_success",
        MetricType::GAUGE,
        "Whether the daemon's last own attempt to connect to a peer's port worked.",
    ),
    ("backupflow_start_timestamp_seconds", MetricType::GAUGE, "Since when the daemon watches."),
    (
        "backupflow_state_last_write_timestamp_seconds",
        MetricType::GAUGE,
        "When the file that carries what was seen over a restart was last written, 0 for never.",
    ),
    (
        "backupflow_unexpected_flow_since_timestamp_seconds",
        MetricType::GAUGE,
        "Since when a peer uses a port that no expectation covers, of the 8 first of a flow and cause.",
    ),
    (
        "backupflow_unexpected_flows",
        MetricType::GAUGE,
        "Flows on a port of the system that no expectation covers, by cause.",
    ),
    (
        "backupflow_web_certificate_expiry_timestamp_seconds",
        MetricType::GAUGE,
        "When the first certificate of the web port's chain expires.",
    ),
    (
        "backupflow_web_refused_total",
        MetricType::COUNTER,
        "Connections and requests to the web port that got no answer or a refusal, by reason.",
    ),
];
