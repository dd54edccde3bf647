//! Alerts of the monitor itself.

use std::net::Ipv4Addr;

use serde_json::Value;
use tests::{
    Daemon, Flow, Frozen, HOST4, Monitoring, PEER4, Pair, RawSocket,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    udp_socket, until,
};

use super::{SOON, at, fire, names};

const SCANNED: Flow<'_> = Flow("scan-32006", "server", "client");

/// A monitor that lacks a hook, and room.
pub(super) const LACKING: &str = r#"
[[system]]
product = "gigavault-storage"
roles = ["server"]
sections = ["udp_port_32006", "tcp_port_32004"]
peers.client = ["10.20.0.0/24"]

[web]
listen = "0.0.0.0:10150"

[kernel]
flows = 16
disable = ["retransmit"]
"#;

/// The thread that reads the counts stands still, and the others serve what it last said.
pub(super) fn daemon_that_hangs_is_told(daemon: &Daemon<'_>, monitoring: &Monitoring<'_>) {
    let hanging = Frozen::new(daemon.pid());
    fire(monitoring, &["BackupflowNotCounting"]);
    drop(hanging);
    until("the counts to be read again", SOON, || {
        let firing = names(&monitoring.firing());
        if firing.contains("BackupflowNotCounting") { Err(firing) } else { Ok(()) }
    });
}

pub(super) fn daemon_that_is_gone_silences_its_flows(
    daemon: Daemon<'_>,
    monitoring: &Monitoring<'_>,
) {
    const FLOW: &str = "BackupflowFlowRefused";
    daemon.kill();
    fire(monitoring, &["BackupflowDown", FLOW]);
    until("the host's alerts to be silenced", SOON, || {
        let inhibited = names(&monitoring.inhibited());
        if inhibited.contains(FLOW) { Ok(()) } else { Err(inhibited) }
    });
    // The series of the flows have ended: nothing is fixed, and nobody is told so.
    until("the flows' alerts to end", SOON, || {
        let left = [names(&monitoring.firing()), names(&monitoring.inhibited())];
        if left.iter().any(|alerts| alerts.contains(FLOW)) { Err(left) } else { Ok(()) }
    });
    let notified = monitoring.notified();
    let is_of = |alert: &&Value, name: &str| alert["labels"]["alertname"] == name;
    assert!(notified.iter().any(|alert| is_of(&alert, "BackupflowDown")), "{notified:#?}");
    let ended: Vec<&Value> = notified
        .iter()
        .filter(|alert| is_of(alert, FLOW) && alert["status"] == "resolved")
        .collect();
    assert_eq!(ended, [&Value::Null; 0]);
}

pub(super) fn monitor_that_lacks_something_says_so(
    pair: &Pair,
    daemon: &Daemon<'_>,
    monitoring: &Monitoring<'_>,
) {
    let service = udp_socket(&pair.host, at(HOST4, 32006));
    let scanner = udp_socket(&pair.peer, at(PEER4, 0));
    for _ in 0..2000 {
        scanner.send_to(&[0; 1024], at(HOST4, 32006)).unwrap();
    }
    daemon.verdict(SCANNED, "degraded", Some("receive-buffer-full"));
    drop(service);
    let raw = RawSocket::new(&pair.peer, "eth0");
    for last in 101..=130 {
        let from = Ipv4Addr::new(10, 20, 0, last);
        let packet =
            ipv4(from, Ipv4Addr::new(10, 20, 0, 1), TCP, 0, 0, &tcp(40000, 32004, SYN, &[]));
        raw.send(&ethernet(&[], IPV4, &packet));
    }
    fire(
        monitoring,
        &[
            "BackupflowCountsLost",
            "BackupflowFlowDegraded",
            "BackupflowHookDetached",
            "BackupflowMapNearlyFull",
        ],
    );
}
