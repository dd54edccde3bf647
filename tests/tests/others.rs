//! Other tools take away what the daemon attached, or put a program of their own before it: it is
//! attached again, and the time between is told.

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, ForeignProgram, Pair, Program, RawSocket, Wire, config,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    until,
};

const FRAME: u64 = 54;
const PUT_BEFORE: &str = "another program was put before it, and can hide packets";
const TAKEN_AWAY: &str = "another program took it away";

/// Sends attempts from a peer to the host.
fn send(pair: &Pair, number: usize) {
    let segment = tcp(40000, 50051, SYN, &[]);
    let frame = ethernet(
        &[],
        IPV4,
        &ipv4([10, 20, 0, 7].into(), [10, 20, 0, 1].into(), TCP, 0, 0, &segment),
    );
    let raw = RawSocket::new(&pair.peer, "eth0");
    (0..number).for_each(|_| raw.send(&frame));
}

fn counts(daemon: &Daemon<'_>, packets: u64) {
    daemon.counts(AGENT, Wire::new(packets, packets * FRAME), Wire::default());
}

/// How often the log says something of a hook of `eth0`.
fn told(daemon: &Daemon<'_>, what: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains("eth0") && line.contains(what)).count()
}

/// Waits until the log says both that hooks were lost and that they are attached again.
fn attached_again(daemon: &Daemon<'_>, what: &str, hooks: usize) {
    until("attaching again", DEADLINE, || {
        let said = (told(daemon, what), told(daemon, "attached"));
        if said == (hooks, hooks) { Ok(()) } else { Err((said, daemon.log())) }
    });
    let report = daemon.next_report();
    assert!(report.coverage.iter().all(|hook| hook.attached), "{:?}", report.coverage);
}

#[test]
fn clsact_that_is_deleted_and_made_again_is_attached_to_again() {
    let pair = Pair::new();
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    send(&pair, 5);
    counts(&daemon, 5);
    daemon.verdict(CLUSTER, "idle", None);
    pair.host.tc("qdisc del dev eth0 clsact");
    send(&pair, 100);
    attached_again(&daemon, TAKEN_AWAY, 2);
    send(&pair, 3);
    // Those between were not seen, or some of them where it was quick.
    let report = daemon.next_report();
    let counted = AGENT.counted(&report).0.packets;
    assert!((8..=108).contains(&counted), "{counted}");
    let said = daemon.verdict(CLUSTER, "unknown", None);
    let reason = said.evidence.reason.unwrap();
    assert!(reason.contains("eth0"), "{reason}");
    send(&pair, 10);
    counts(&daemon, counted + 10);
    // Somebody else makes it anew and uses it: it stays when the daemon stops.
    pair.host.tc("qdisc del dev eth0 clsact");
    pair.host.tc("qdisc add dev eth0 clsact");
    pair.host.tc("filter add dev eth0 ingress protocol all prio 10 u32 match u32 0 0 flowid 1:1");
    attached_again(&daemon, TAKEN_AWAY, 4);
    send(&pair, 10);
    counts(&daemon, counted + 20);
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    let left = pair.host.tc("filter show dev eth0 ingress");
    assert_eq!(left.matches("not_in_hw").count(), 1, "{left}");
}

#[test]
fn one_filter_that_is_deleted_is_attached_again() {
    let pair = Pair::new();
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    pair.host.tc("filter del dev eth0 ingress");
    attached_again(&daemon, TAKEN_AWAY, 1);
    send(&pair, 10);
    counts(&daemon, 10);
}

#[test]
fn programs_before_it_are_overtaken_and_after_it_left_alone() {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let own = first(&pair);
    // It is last in the list: nothing of ours changes.
    let after = ForeignProgram::attach(&pair.host, "eth0");
    send(&pair, 10);
    counts(&daemon, 10);
    assert_eq!((after.packets(), first(&pair)), (10, own));
    drop(after);
    let before = ForeignProgram::dropping_before(&pair.host, "eth0");
    let others = first(&pair);
    assert_ne!(others, own);
    send(&pair, 7);
    until(
        "overtaking",
        3 * DEADLINE,
        || if first(&pair) == own { Ok(()) } else { Err(daemon.log()) },
    );
    attached_again(&daemon, PUT_BEFORE, 1);
    // What it dropped meanwhile was not seen; from now on, the daemon's program sees it first.
    counts(&daemon, 10);
    assert_eq!(before.packets(), 7);
    send(&pair, 20);
    counts(&daemon, 30);
    assert_eq!(before.packets(), 27);
    daemon.verdict(CLUSTER, "unknown", None);
}

#[test]
fn filter_of_the_same_priority_before_it_is_overtaken() {
    let pair = Pair::new();
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    send(&pair, 10);
    counts(&daemon, 10);
    // The filter that came last is the first.
    for direction in ["ingress", "egress"] {
        let filter = format!("filter add dev eth0 {direction} prio 1 protocol all handle 1 bpf");
        // Everything matches, and no filter after it is asked.
        let matches = ["bytecode", "1,6 0 0 4294967295", "flowid", "1:1"];
        let words: Vec<&str> = filter.split(' ').chain(matches).collect();
        pair.host.run("tc", &words);
    }
    send(&pair, 7);
    // It is said at once, and overtaken when ten seconds have passed since it was attached.
    daemon.settles("what hides packets is seen", |report| {
        let faults = report.coverage.iter().filter_map(|hook| hook.reason.as_deref());
        let faults: Vec<&str> = faults.collect();
        if faults == [PUT_BEFORE; 2] { Ok(()) } else { Err(format!("{faults:?}")) }
    });
    until("overtaking", 3 * DEADLINE, || {
        let said = told(&daemon, "attached");
        if said == 2 { Ok(()) } else { Err(daemon.log()) }
    });
    attached_again(&daemon, PUT_BEFORE, 2);
    counts(&daemon, 10);
    send(&pair, 20);
    counts(&daemon, 30);
    let said = daemon.verdict(CLUSTER, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("not watched: eth0"));
    // Nothing of the other's is changed, and the queueing discipline, which the daemon made, stays for it.
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    for direction in ["ingress", "egress"] {
        let left = pair.host.tc(&format!("filter show dev eth0 {direction}"));
        assert_eq!(left.matches("bytecode").count(), 1, "{left}");
    }
}

#[test]
fn filter_of_another_kind_with_the_first_priority_is_gone_before() {
    let pair = Pair::new();
    pair.host.tc("qdisc add dev eth0 clsact");
    pair.host.tc("filter add dev eth0 ingress prio 1 protocol all u32 match u32 0 0 flowid 1:1");
    let daemon = Daemon::start_with(&pair.host, config::SQL_SERVER, &["--attach", "clsact"]);
    send(&pair, 10);
    counts(&daemon, 10);
    let report = daemon.next_report();
    assert!(report.coverage.iter().all(|hook| hook.attached), "{:?}", report.coverage);
}

/// The number of the program that runs first on the way in.
fn first(pair: &Pair) -> u32 {
    Program::first(&pair.host, "eth0").0.unwrap().id()
}
