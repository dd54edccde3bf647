//! What does not fit is told, and nothing is concluded from it.

use std::{net::Ipv4Addr, time::Duration};

use tests::{
    AGENT, CLUSTER, Daemon, Pair, RawSocket, Wire, config,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    until,
};

#[test]
fn flows_beyond_the_map_are_lost_and_told() {
    let pair = Pair::new();
    let config = format!("{}\n[kernel]\nflows = 16\n", config::SQL_SERVER);
    let daemon = Daemon::start(&pair.host, &config);
    let raw = RawSocket::new(&pair.peer, "eth0");
    let open = |last: u8| {
        let from = Ipv4Addr::new(10, 20, 0, last);
        let segment = tcp(40000, 50051, SYN, &[]);
        raw.send(&ethernet(
            &[],
            IPV4,
            &ipv4(from, Ipv4Addr::new(10, 20, 0, 1), TCP, 0, 0, &segment),
        ));
    };
    let nothing = Wire::default();
    (101..=116).for_each(open);
    let report = daemon.counts(AGENT, Wire::new(16, 16 * 54), nothing);
    assert_eq!((report.flow_map.entries, report.flow_map.capacity), (16, 16));
    assert_eq!(report.lost(), []);
    daemon.verdict(CLUSTER, "idle", None);

    // Four more flows, two packets each; those that are known go on counting.
    for _ in 0..2 {
        (115..=120).for_each(open);
    }
    let report = daemon.counts(AGENT, Wire::new(20, 20 * 54), nothing);
    assert_eq!(report.lost(), [("flow-map-full", 8), ("map-full", 8)]);
    assert_eq!(report.flow_map.entries, 16);
    let said = daemon.verdict(CLUSTER, "unknown", None);
    assert_eq!(
        said.evidence.reason.as_deref(),
        Some("the flow map was full, new flows were not counted")
    );
    let full = daemon.series("backupflow_lost_total", &[("what", "flow-map-full")]);
    assert_eq!(full.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), [8.0]);
}

#[test]
fn strangers_make_room_after_a_minute_and_nothing_stays_unknown() {
    let pair = Pair::new();
    let config = format!("{}\n[kernel]\nflows = 16\n", config::SQL_SERVER);
    let daemon = Daemon::start(&pair.host, &config);
    let raw = RawSocket::new(&pair.peer, "eth0");
    let open = |from: [u8; 4]| {
        let segment = tcp(40000, 50051, SYN, &[]);
        let packet = ipv4(from.into(), [10, 20, 0, 1].into(), TCP, 0, 0, &segment);
        raw.send(&ethernet(&[], IPV4, &packet));
    };
    let nothing = Wire::default();
    open([10, 20, 0, 101]);
    daemon.counts(AGENT, Wire::new(1, 54), nothing);
    // Fifteen strangers take the rest, and ten find no room.
    (1..=25).for_each(|last| open([192, 0, 2, last]));
    let report = daemon.settles("the full map", |report| {
        let lost = report.lost();
        if lost.contains(&("flow-map-full", 10)) { Ok(()) } else { Err(format!("{lost:?}")) }
    });
    assert_eq!(report.flow_map.entries, 16);
    daemon.verdict(CLUSTER, "unknown", None);
    // All of them make room, and the peer that belongs here keeps its place.
    until("room", Duration::from_secs(80), || match daemon.report().flow_map.entries {
        1 => Ok(()),
        other => Err(other),
    });
    (102..=105).for_each(|last| open([10, 20, 0, last]));
    daemon.counts(AGENT, Wire::new(5, 5 * 54), nothing);
    until("a verdict", Duration::from_secs(80), || {
        let said = CLUSTER.find(&daemon.report()).verdict.clone();
        if said == "idle" { Ok(()) } else { Err(said) }
    });
}

#[test]
fn strangers_take_no_place_of_peers_that_are_named_one_by_one() {
    let pair = Pair::new();
    let named = r#"["10.20.0.101", "10.20.0.102", "10.20.0.103", "fd00:20::2"]"#;
    let config = config::SQL_SERVER.replace(r#"["10.20.0.0/24", "fd00:20::/64"]"#, named);
    assert!(config.contains(named));
    let daemon = Daemon::start(&pair.host, &format!("{config}\n[kernel]\nflows = 16\n"));
    let raw = RawSocket::new(&pair.peer, "eth0");
    let open = |from: [u8; 4]| {
        let segment = tcp(40000, 50051, SYN, &[]);
        let packet = ipv4(from.into(), [10, 20, 0, 1].into(), TCP, 0, 0, &segment);
        raw.send(&ethernet(&[], IPV4, &packet));
    };
    daemon.next_report();
    // Three quarters are there for anyone, and the rest for those that are named.
    (1..=40).for_each(|last| open([192, 0, 2, last]));
    let refused = |packets| {
        daemon.settles("refused flows", |report| {
            let lost = report.lost();
            let is_so = lost.contains(&("flow-map-full", packets));
            if is_so { Ok(()) } else { Err(format!("{lost:?}")) }
        })
    };
    assert_eq!(refused(28).flow_map.entries, 12);
    (101..=102).for_each(|last| open([10, 20, 0, last]));
    open([192, 0, 2, 99]);
    daemon.counts(AGENT, Wire::new(2, 2 * 54), Wire::default());
    assert_eq!(refused(29).flow_map.entries, 14);
    // Nobody else hides what they do.
    daemon.verdict(CLUSTER, "idle", None);
}
