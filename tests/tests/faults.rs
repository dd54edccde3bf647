//! What goes wrong around the daemon loses no count, and is told.

use std::net::SocketAddr;

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, HOST4, Open, PEER4, Pair, command, config, listen, until,
};

const BY_CGROUP: [&str; 3] = ["socket-ingress", "socket-egress", "connect"];

/// The lines of its log that say something.
fn lines(daemon: &Daemon<'_>, what: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(what)).count()
}

/// Runs a line of the shell among the daemon's mounts.
fn among_its_mounts(daemon: &Daemon<'_>, line: &str) {
    let pid = daemon.pid().to_string();
    command::run("nsenter", &["--target", &pid, "--mount", "sh", "-c", line]);
}

/// Counts exactly what passes on an open connection, both ways.
fn counts_exactly(daemon: &Daemon<'_>, open: &Open) {
    let sent = open.segments();
    let (received, transmitted) = AGENT.counted(&daemon.next_report());
    open.send(30_000, 20_000);
    let now = open.segments();
    let expected =
        (received.packets + now.up - sent.up, transmitted.packets + now.down - sent.down);
    daemon.settles("every segment", |report| {
        let (received, transmitted) = AGENT.counted(report);
        let counted = (received.packets, transmitted.packets);
        if counted == expected { Ok(()) } else { Err(format!("{counted:?} {expected:?}")) }
    });
}

#[test]
fn a_cgroup_that_is_mounted_late_is_watched_from_then_on() {
    let pair = Pair::new();
    let hide = "for at in $(findmnt -nlo TARGET -t cgroup2); do umount -l $at; done; exec \"$@\"";
    let by = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    let mut daemon = Daemon::launch_by(&pair.host, &by, config::SQL_SERVER, &[]);
    daemon.wait();
    for hook in daemon.report().coverage {
        let is_by_cgroup = BY_CGROUP.contains(&hook.hook.as_str());
        assert_eq!(hook.attached, !is_by_cgroup, "{hook:?}");
        if is_by_cgroup {
            assert!(hook.reason.unwrap().contains("cgroup v2 is not mounted"));
        }
    }
    let said = daemon.verdict(CLUSTER, "unknown", None);
    let reason = said.evidence.reason.unwrap();
    assert!(reason.contains("go unseen without socket-egress, connect"), "{reason}");
    let at = SocketAddr::new(HOST4, 50051);
    let open = Open::new(&pair.peer, &listen(&pair.host, at), at);
    counts_exactly(&daemon, &open);

    among_its_mounts(
        &daemon,
        "mount -t tmpfs none /mnt && mkdir /mnt/c && mount -t cgroup2 none /mnt/c",
    );
    until("the hooks", 2 * DEADLINE, || {
        let left = daemon.report().coverage.into_iter().find(|hook| !hook.attached);
        left.map_or(Ok(()), Err)
    });
    counts_exactly(&daemon, &open);
    daemon.verdict(CLUSTER, "idle", None);
    assert_eq!(lines(&daemon, "not attached"), 3, "{}", daemon.log());
    for hook in BY_CGROUP {
        assert_eq!(
            lines(&daemon, &format!("machine: attached hook=\"{hook}\"")),
            1,
            "{}",
            daemon.log()
        );
    }
    let to = SocketAddr::new(PEER4, 11113);
    Open::new(&pair.host, &listen(&pair.peer, to), to).close();
    daemon.verdict(CLUSTER, "ok", None);
    drop(daemon);
    open.close();
}
