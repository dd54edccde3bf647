//! Copies of packets that another program makes at a device (`tc mirred`) are no packets of a flow.

use tests::{
    AGENT, CLUSTER, Daemon, HOST4, HOST6, Namespace, Open, PEER4, PEER6, Pair, Wire, at, config,
    listen, net::join, segments,
};

/// Ethernet and IP.
const HEADERS4: u64 = 14 + 20;
const HEADERS6: u64 = 14 + 40;

/// Uses both flows by both versions, with a copy of whatever crosses `eth0` to a device that is watched too, and
/// sees that each packet counts once. Gives the packets that the device carried.
fn counted_once(direction: &str, left_out: &str) -> u64 {
    let pair = Pair::without_offloads();
    let sensor = Namespace::new("sensor");
    join(&pair.host, "span", [2, 0, 0, 0, 0, 5], &sensor, "eth0", [2, 0, 0, 0, 0, 6]);
    pair.host.tc("qdisc add dev eth0 clsact");
    pair.host.tc(&format!(
        "filter add dev eth0 {direction} protocol all u32 match u32 0 0 action mirred egress mirror dev span"
    ));
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    assert!(daemon.report().watched().contains(&"span"));
    let (mut agent, mut cluster) =
        ((Wire::default(), Wire::default()), (Wire::default(), Wire::default()));
    for (host, peer, headers) in [(HOST4, PEER4, HEADERS4), (HOST6, PEER6, HEADERS6)] {
        for (to, from, at, sums) in [
            (&pair.host, &pair.peer, at(host, 50051), &mut agent),
            (&pair.peer, &pair.host, at(peer, 11113), &mut cluster),
        ] {
            let open = Open::new(from, &listen(to, at), at);
            open.send(10_000, 20_000);
            let sent = open.close();
            sums.0 = sums.0.and(segments(sent.up, 10_000, headers));
            sums.1 = sums.1.and(segments(sent.down, 20_000, headers));
        }
    }
    let copies = pair.host.counted("span").transmitted.packets;
    daemon.counts(AGENT, agent.0, agent.1);
    let report = daemon.counts(CLUSTER, cluster.1, cluster.0);
    assert_eq!(report.lost(), [(left_out, copies)]);
    for flow in [AGENT, CLUSTER] {
        let attempts = &flow.find(&report).evidence.attempts;
        assert_eq!((attempts["completed"], attempts.values().sum::<u64>()), (2, 2));
    }
    copies
}

#[test]
fn copies_of_what_goes_out() {
    assert!(counted_once("egress", "copy") > 40);
}

#[test]
fn copies_of_what_comes_in() {
    assert!(counted_once("ingress", "forwarded") > 40);
}
