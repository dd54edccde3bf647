//! Counts that outlive the daemon.

use std::net::SocketAddr;

use tests::{AGENT, Bpffs, Daemon, HOST4, Open, Pair, Wire, listen};

const AT: SocketAddr = SocketAddr::new(HOST4, 50051);

fn counted(daemon: &Daemon<'_>) -> (Wire, Wire) {
    AGENT.counted(&daemon.next_report())
}

#[test]
fn killed_in_the_middle_of_a_transfer() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let config = bpffs.config(1024);
    let listener = listen(&pair.host, AT);
    let open = Open::new(&pair.peer, &listener, AT);
    let mut before = (Wire::default(), Wire::default());
    for _ in 0..3 {
        let daemon = Daemon::start(&pair.host, &config);
        // What was counted is still there.
        assert_eq!(counted(&daemon), before);
        let sent = open.segments();
        open.send(300_000, 200_000);
        let now = open.segments();
        let (up, down) =
            (before.0.packets + now.up - sent.up, before.1.packets + now.down - sent.down);
        let report = daemon.settles("every segment", |report| {
            let (received, transmitted) = AGENT.counted(report);
            let counted = (received.packets, transmitted.packets);
            if counted == (up, down) { Ok(()) } else { Err(format!("{counted:?} {up} {down}")) }
        });
        before = AGENT.counted(&report);
        daemon.kill();
    }
    // A clean stop keeps them too.
    let daemon = Daemon::start(&pair.host, &config);
    assert_eq!(counted(&daemon), before);
    assert!(daemon.stop().0.success());
    let daemon = Daemon::start(&pair.host, &config);
    assert_eq!(counted(&daemon), before);
    drop(daemon);
    open.close();
}

#[test]
fn maps_of_another_size_start_afresh() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let daemon = Daemon::start(&pair.host, &bpffs.config(1024));
    let open = Open::new(&pair.peer, &listen(&pair.host, AT), AT);
    open.send(1000, 1000);
    let before = daemon.settles("something", |report| {
        let (received, _) = AGENT.counted(report);
        if received.packets > 0 { Ok(()) } else { Err("nothing".to_owned()) }
    });
    assert!(AGENT.counted(&before).0.packets > 0);
    drop(daemon);
    let daemon = Daemon::start(&pair.host, &bpffs.config(2048));
    assert_eq!(counted(&daemon), (Wire::default(), Wire::default()));
    assert_eq!(daemon.report().flow_map.capacity, 2048);
    assert!(daemon.log().contains("counting starts afresh"), "{}", daemon.log());
    drop(daemon);
    open.close();
}

#[test]
fn bpffs_that_is_taken_away_costs_no_count_until_the_daemon_ends() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let daemon = Daemon::start(&pair.host, &bpffs.config(1024));
    let first = Open::new(&pair.peer, &listen(&pair.host, AT), AT);
    first.send(1000, 1000);
    bpffs.unmount();
    first.send(300_000, 200_000);
    let sent = first.close();
    daemon.settles("every segment", |report| {
        let (received, transmitted) = AGENT.counted(report);
        let counted = (received.packets, transmitted.packets);
        if counted == (sent.up, sent.down) { Ok(()) } else { Err(format!("{counted:?}")) }
    });
    assert!(daemon.stop().0.success());
    let daemon = Daemon::start(&pair.host, &bpffs.config(1024));
    assert_eq!(counted(&daemon), (Wire::default(), Wire::default()));
    let told = "backupflow is not in bpffs: counts begin at zero with every start";
    assert!(daemon.log().contains(told), "{}", daemon.log());
}
