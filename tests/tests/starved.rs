//! A daemon that gets hardly any processor time or memory.

use std::os::unix::process::ExitStatusExt as _;

use tests::{
    AGENT, Bpffs, Cgroup, DEADLINE, Daemon, Pair, Report, Traffic, config,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    until,
};

/// Attempts of 200 peers.
fn traffic(pair: &Pair) -> Traffic {
    let segment = tcp(40000, 50051, SYN, &[]);
    let frame = |last| ipv4([10, 20, 0, last].into(), [10, 20, 0, 1].into(), TCP, 0, 0, &segment);
    let frames = (20..220).map(|last| ethernet(&[], IPV4, &frame(last))).collect();
    Traffic::start(&pair.peer, "eth0", frames, 20)
}

fn exact(report: &Report, sent: u64) -> Result<(), String> {
    let counted = AGENT.counted(report).0.packets;
    if counted == sent { Ok(()) } else { Err(format!("{counted} of {sent}")) }
}

#[test]
fn without_processor_time_nothing_is_lost_and_the_signs_of_life_are_late() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let group = Cgroup::of_processor(&pair.host, 5);
    group.take(daemon.pid());
    let traffic = traffic(&pair);
    for _ in 0..3 {
        daemon.next_report();
    }
    // None at all: whoever waits for a sign of life gets none.
    daemon.freeze();
    let before = *traffic.pause();
    until("more traffic", DEADLINE, || match *traffic.pause() {
        sent if sent > before + 5000 => Ok(()),
        sent => Err(sent),
    });
    daemon.thaw();
    let sent = traffic.pause();
    until("every packet", 3 * DEADLINE, || exact(&daemon.report(), *sent));
    let report = daemon.next_report();
    exact(&report, *sent).unwrap();
    assert_eq!(report.lost(), []);
    drop(daemon);
}

#[test]
fn with_little_memory_it_counts_and_with_too_little_the_counts_stay() {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let config = bpffs.config(1024);
    let group = Cgroup::of_memory(&pair.host, 64);
    let words = group.words();
    let by: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut daemon = Daemon::launch_by(&pair.host, &by, &config, &[]);
    daemon.wait();
    let traffic = traffic(&pair);
    for _ in 0..3 {
        daemon.next_report();
    }
    let sent = traffic.pause();
    until("every packet", DEADLINE, || exact(&daemon.report(), *sent));
    daemon.kill();
    drop(group);

    // Less than the programs take to load: the kernel ends it, and says so in its own log.
    let group = Cgroup::of_memory(&pair.host, 8);
    let words = group.words();
    let by: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut daemon = Daemon::launch_by(&pair.host, &by, &config, &[]);
    let status = until("its end", 3 * DEADLINE, || daemon.ended());
    assert_eq!(status.signal(), Some(9), "{status}: {}", daemon.log());
    drop(daemon);
    drop(group);

    let daemon = Daemon::start(&pair.host, &config);
    exact(&daemon.report(), *sent).unwrap();
}
