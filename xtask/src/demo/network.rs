//! The demo's machines: three network namespaces.

use std::{fs::File, process::Command, thread};

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns};

use crate::{
    command::{output, program},
    stop::Stop,
};

/// The machine that backupflow runs on.
pub(crate) const HOST: &str = "bf-demo-host";
/// A cluster that connects to agents and is connected to by databases.
pub(crate) const CLUSTER: &str = "bf-demo-cluster";
/// A machine that is backed up.
pub(crate) const CLIENT: &str = "bf-demo-client";

/// How the machines are joined, and what the backup host's firewall drops.
const STEPS: &[&str] = &[
    "ip netns add bf-demo-host",
    "ip netns add bf-demo-cluster",
    "ip netns add bf-demo-client",
    "ip link add eth0 netns bf-demo-host type veth peer name eth0 netns bf-demo-cluster",
    "ip link add eth1 netns bf-demo-host type veth peer name eth0 netns bf-demo-client",
    "ip -n bf-demo-host address add 10.20.0.10/24 dev eth0",
    "ip -n bf-demo-cluster address add 10.20.0.20/24 dev eth0",
    "ip -n bf-demo-host address add 10.30.0.10/24 dev eth1",
    "ip -n bf-demo-client address add 10.30.0.30/24 dev eth0",
    "ip -n bf-demo-host link set lo up",
    "ip -n bf-demo-host link set eth0 up",
    "ip -n bf-demo-host link set eth1 up",
    "ip -n bf-demo-cluster link set eth0 up",
    "ip -n bf-demo-client link set eth0 up",
    "nsenter --net=/run/netns/bf-demo-host nft add table inet demo",
    "nsenter --net=/run/netns/bf-demo-host nft add chain inet demo input { type filter hook input priority 0 ; }",
    "nsenter --net=/run/netns/bf-demo-host nft add rule inet demo input tcp dport 50051 drop",
];

/// The machines. They go with the value.
#[derive(Debug)]
pub(crate) struct Network;

impl Network {
    /// Builds them, in place of what a demo that was killed may have left.
    pub(crate) fn build(stop: &Stop) -> anyhow::Result<Self> {
        remove();
        let network = Self;
        for step in STEPS {
            stop.check()?;
            let words: Vec<&str> = step.split(' ').collect();
            output(&mut program(&words))?;
        }
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove();
    }
}

fn remove() {
    for name in [HOST, CLUSTER, CLIENT] {
        // One that is not there needs no removing.
        drop(output(&mut program(&["ip", "netns", "del", name])));
    }
}

/// The words before those of a program that runs in a machine. (`ip netns exec` would hide the
/// control groups, which backupflow looks at.)
pub(crate) fn enter(machine: &str) -> [String; 2] {
    ["nsenter".to_owned(), format!("--net=/run/netns/{machine}")]
}

/// A program that runs in a machine and ends, at the latest, with this process.
pub(crate) fn program_in(machine: &str, words: &[&str]) -> Command {
    let [enter, machine] = enter(machine);
    program(&[&["setpriv", "--pdeathsig", "TERM", &enter, &machine, "--"], words].concat())
}

/// Does something on a thread of its own in a machine.
pub(crate) fn spawn_in(
    machine: &'static str,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> thread::JoinHandle<anyhow::Result<()>> {
    thread::spawn(move || {
        let path = format!("/run/netns/{machine}");
        let namespace = File::open(&path).with_context(|| path.clone())?;
        setns(namespace, CloneFlags::CLONE_NEWNET).with_context(|| path.clone())?;
        ensure!(in_namespace(&path)?, "not in {path}: no traffic may leave it");
        work()
    })
}

/// Whether this thread is where its traffic belongs.
fn in_namespace(path: &str) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = |path: &str| std::fs::metadata(path).map(|file| file.ino());
    Ok(inode(path)? == inode("/proc/thread-self/ns/net")?)
}
