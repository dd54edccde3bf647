//! In a container the root of cgroup v2 may be that of the container alone: what is attached there runs for
//! no other program of the host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tests::{
    AGENT, CLUSTER, DEADLINE, Daemon, HOST4, Namespace, Open, PEER4, Pair, at, config, listen,
    within,
};

/// Hooks that are attached to the root of cgroup v2.
const AT_ROOT: [&str; 3] = ["socket-ingress", "socket-egress", "connect"];

/// A cgroup whose processes see it as the root, as in a container. It goes with the value, which its
/// processes have to have left by then.
struct Container {
    root: PathBuf,
    cgroup: PathBuf,
}

impl Container {
    fn new(namespace: &Namespace) -> Self {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(PathBuf::from);
        let is_unified = |root: &PathBuf| root.join("cgroup.controllers").exists();
        let root = roots.into_iter().find(is_unified).unwrap();
        let cgroup = root.join(namespace.name());
        fs::create_dir(&cgroup).unwrap();
        Self { root, cgroup }
    }

    /// Starts a daemon in it, after more lines of a shell in its mount namespace.
    fn daemon<'n>(&self, namespace: &'n Namespace, lines: &str) -> Daemon<'n> {
        let (root, cgroup) = (self.root.display(), self.cgroup.display());
        let inside =
            format!("{lines}\numount -l {root} && mount -t cgroup2 none {root} && exec \"$@\"");
        let enter = format!(
            "echo $$ > {cgroup}/cgroup.procs && exec unshare --cgroup --mount --pid --fork --kill-child \
             --mount-proc sh -c '{inside}' sh \"$@\""
        );
        let words = ["sh", "-c", &enter, "sh"];
        let mut daemon = Daemon::launch_by(namespace, &words, config::SQL_SERVER, &[]);
        daemon.wait();
        daemon
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The last process may be about to end.
        drop(within(DEADLINE, || fs::remove_dir(&self.cgroup)));
    }
}

/// Two connections, one for each side of the host.
fn talk(pair: &Pair) {
    for (server, client, address) in
        [(&pair.host, &pair.peer, at(HOST4, 50051)), (&pair.peer, &pair.host, at(PEER4, 11113))]
    {
        let open = Open::new(client, &listen(server, address), address);
        open.send(10, 10);
        open.close();
    }
}

#[test]
fn container_that_sees_only_its_own_cgroup_says_so() {
    let pair = Pair::new();
    let container = Container::new(&pair.host);
    let daemon = container.daemon(&pair.host, "");
    talk(&pair);
    daemon.verdict(AGENT, "ok", None);
    let report = daemon.next_report();
    for hook in report.coverage.iter().filter(|hook| hook.interface.is_none()) {
        assert_eq!(hook.attached, !AT_ROOT.contains(&&*hook.hook), "{hook:?}");
        let reason = hook.reason.as_deref().unwrap_or("cgroup namespace");
        assert!(reason.contains("cgroup namespace"), "{hook:?}");
    }
    // Nothing is said of what the sockets got, since nobody looked.
    let evidence = &CLUSTER.find(&report).evidence;
    assert_eq!((evidence.difference, evidence.outcomes["established"]), (None, 1));
    drop((daemon, container));
}

#[test]
fn container_that_has_the_root_of_all_cgroups_too_attaches_there() {
    let pair = Pair::new();
    let container = Container::new(&pair.host);
    let elsewhere = std::env::temp_dir().join(format!("{}-root", pair.host.name()));
    fs::create_dir(&elsewhere).unwrap();
    let (root, at) = (container.root.display(), Path::display(&elsewhere));
    let daemon = container.daemon(&pair.host, &format!("mount --bind {root} {at}"));
    talk(&pair);
    daemon.verdict(AGENT, "ok", None);
    let report = daemon.next_report();
    assert!(report.coverage.iter().all(|hook| hook.attached), "{:?}", report.coverage);
    let nothing = tests::Difference { received: 0, transmitted: 0 };
    for flow in [AGENT, CLUSTER] {
        assert_eq!(flow.find(&report).evidence.difference, Some(nothing), "{flow:?}");
    }
    let sockets = [("layer", "socket"), ("flow", "agent-50051")];
    let packets = daemon.series("backupflow_flow_receive_packets_total", &sockets);
    assert!(packets.iter().any(|(_, packets)| *packets > 0.0), "{packets:?}");
    drop((daemon, container));
    fs::remove_dir(elsewhere).unwrap();
}
