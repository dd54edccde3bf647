//! Interfaces that come and go by the hundred, while packets are counted at another.

use tests::{
    AGENT, DEADLINE, Daemon, Namespace, Pair, RawSocket, Report, Traffic, Wire, config,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    net::{HOST_MAC, PEER_MAC, join},
    until,
};

const FRAME: u64 = 54;

/// An attempt to connect to the host's agent.
fn attempt() -> Vec<u8> {
    let segment = tcp(40000, 50051, SYN, &[]);
    ethernet(&[], IPV4, &ipv4([10, 20, 0, 7].into(), [10, 20, 0, 1].into(), TCP, 0, 0, &segment))
}

fn counts(daemon: &Daemon<'_>, packets: u64) -> Report {
    daemon.counts(AGENT, Wire::new(packets, packets * FRAME), Wire::default())
}

/// Waits until these interfaces are watched, and no others.
fn watches(daemon: &Daemon<'_>, names: &[&str]) -> Report {
    let sees = |report: &Report| {
        let watched = report.watched();
        if watched == names { Ok(()) } else { Err(format!("{watched:?}")) }
    };
    until("the interfaces", 3 * DEADLINE, || sees(&daemon.report()));
    daemon.settles("the interfaces", sees)
}

/// Lines of `ip` for each of some numbers.
fn lines(numbers: std::ops::Range<u32>, line: impl Fn(u32) -> String) -> String {
    numbers.map(line).collect()
}

#[test]
fn hundreds_of_interfaces_that_come_move_and_go_cost_no_count_and_no_memory() {
    let pair = Pair::new();
    let elsewhere = Namespace::new("elsewhere");
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let traffic = Traffic::start(&pair.peer, "eth0", vec![attempt()], 5);
    let mut before = None;
    for _ in 0..3 {
        // Pairs of devices, of which one end is renamed and the other one moved.
        pair.host.ip(&lines(0..100, |n| format!("link add s{n} type veth peer name t{n}\n")));
        pair.host.ip(&lines(0..100, |n| {
            format!("link set s{n} name u{n}\nlink set t{n} netns {}\n", elsewhere.name())
        }));
        until("all that are there", 3 * DEADLINE, || {
            let watched = daemon.report().watched().len();
            if watched == 102 { Ok(()) } else { Err(watched) }
        });
        pair.host.ip(&lines(0..100, |n| format!("link del u{n}\n")));
        let report = watches(&daemon, &["eth0", "lo"]);
        assert_eq!(report.coverage.iter().filter(|hook| hook.interface.is_some()).count(), 3);
        let sent = traffic.pause();
        counts(&daemon, *sent);
        assert!(!daemon.log().contains("WARN monitor::kernel::attach"), "{}", daemon.log());
        let resident = daemon.resident();
        let (first, descriptors) = *before.get_or_insert_with(|| (resident, daemon.descriptors()));
        assert!(resident <= first + 4096, "{resident} KiB after {first}");
        until("as few descriptors as before", DEADLINE, || match daemon.descriptors() {
            few if few <= descriptors => Ok(()),
            many => Err((descriptors, many)),
        });
    }
}

#[test]
fn interface_that_is_moved_away_and_back_counts_only_here() {
    let pair = Pair::new();
    let elsewhere = Namespace::new("elsewhere");
    join(&pair.host, "moved0", HOST_MAC, &pair.peer, "far0", PEER_MAC);
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let raw = RawSocket::new(&pair.peer, "far0");
    let send = |number: usize| (0..number).for_each(|_| raw.send(&attempt()));
    watches(&daemon, &["eth0", "lo", "moved0"]);
    send(10);
    counts(&daemon, 10);
    pair.host.ip(&format!("link set moved0 netns {}", elsewhere.name()));
    elsewhere.ip("link set moved0 up");
    // The kernel takes the programs off at once, so that not even these are counted.
    send(100);
    watches(&daemon, &["eth0", "lo"]);
    counts(&daemon, 10);
    elsewhere.ip(&format!("link set moved0 netns {}", pair.host.name()));
    pair.host.ip("link set moved0 up");
    watches(&daemon, &["eth0", "lo", "moved0"]);
    send(10);
    counts(&daemon, 20);
}

#[test]
fn messages_that_got_lost_are_told_and_made_good() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let overruns = || daemon.series("backupflow_interface_overruns_total", &[])[0].1;
    assert_eq!(overruns().to_bits(), f64::to_bits(0.0));
    let traffic = Traffic::start(&pair.peer, "eth0", vec![attempt()], 5);
    daemon.freeze();
    // More messages than its socket has room for.
    pair.host.ip(&lines(0..600, |n| format!("link set eth0 mtu {}\n", 1400 + n % 2)));
    pair.host.ip("link add late0 type veth peer name late1");
    daemon.thaw();
    let report = watches(&daemon, &["eth0", "late0", "late1", "lo"]);
    assert!(report.coverage.iter().all(|hook| hook.attached), "{:?}", report.coverage);
    until("the overrun", DEADLINE, || if overruns() >= 1.0 { Ok(()) } else { Err(daemon.log()) });
    let told = "more interfaces changed than was read in time: they are listed anew";
    assert!(daemon.log().contains(told), "{}", daemon.log());
    let sent = traffic.pause();
    counts(&daemon, *sent);
}
