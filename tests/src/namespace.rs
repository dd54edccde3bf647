//! Network namespaces.

use std::{
    fs::{self, File},
    panic::resume_unwind,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::{
    command::{feed, run, text},
    wire::Wire,
};

/// A network namespace of its own, with its loopback device up. It goes with the value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// What the kernel counted at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Received.
    pub received: Wire,
    /// Transmitted.
    pub transmitted: Wire,
    /// Dropped in either direction.
    pub dropped: u64,
}

impl Namespace {
    /// A new one.
    pub fn new(tag: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: be root");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bft-{}-{number}-{tag}", process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        // Outside every documented port, so that no port is one by chance.
        namespace.sysctl("net/ipv4/ip_local_port_range", "40000 45000");
        namespace.send_once();
        namespace.ip("link set lo up");
        namespace
    }

    /// Keeps TCP from sending a segment again where a busy machine is late or changes the order,
    /// and its acknowledgements from growing options for it: then the headers can be computed.
    fn send_once(&self) {
        self.sysctl("net/ipv4/tcp_sack", "0");
        self.sysctl("net/ipv4/tcp_early_retrans", "0");
        self.sysctl("net/ipv4/tcp_recovery", "0");
        self.sysctl("net/ipv4/tcp_reordering", "300");
        // Since Linux 6.11.
        let shortest = "/proc/sys/net/ipv4/tcp_rto_min_us";
        self.inside(|| drop(fs::write(shortest, "9000000")));
    }

    /// TCP as it usually is: what is lost is sent again soon.
    pub fn usual_tcp(&self) {
        for (name, value) in
            [("sack", "1"), ("recovery", "1"), ("early_retrans", "3"), ("reordering", "3")]
        {
            self.sysctl(&format!("net/ipv4/tcp_{name}"), value);
        }
        self.sysctl("net/ipv4/tcp_mtu_probing", "0");
        let shortest = "/proc/sys/net/ipv4/tcp_rto_min_us";
        self.inside(|| drop(fs::write(shortest, "200000")));
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Does something as a thread of the namespace: sockets that it makes stay there.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).unwrap();
        let done = thread::scope(|scope| {
            scope
                .spawn(move || {
                    setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                    f()
                })
                .join()
        });
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs lines of `ip`.
    pub fn ip(&self, lines: &str) {
        let output = feed("ip", &["-n", &self.name, "-batch", "-"], lines);
        assert!(output.status.success(), "`ip` of\n{lines}\n{}", text(&output).1);
    }

    /// Runs `tc`, and gives what it printed.
    pub fn tc(&self, arguments: &str) -> String {
        let words = ["-n", &self.name].into_iter().chain(arguments.split_whitespace());
        run("tc", &words.collect::<Vec<_>>())
    }

    /// Runs a program of the machine inside.
    pub fn run(&self, name: &str, arguments: &[&str]) -> String {
        let net = format!("--net={}", self.path().display());
        run("nsenter", &[&[&net, "--", name], arguments].concat())
    }

    /// Replaces `table inet t` of nftables by one with this inside.
    pub fn nft(&self, inside: &str) {
        self.nftables(&format!(
            "table inet t\ndelete table inet t\ntable inet t {{\n{inside}\n}}\n"
        ));
    }

    /// Keeps the namespace's own `ICMPv6` (neighbours, groups, routers) inside.
    pub fn quiet(&self) {
        self.nftables(
            "table ip6 quiet {\nchain out {\ntype filter hook output priority 0\n\
             meta l4proto ipv6-icmp drop\n}\n}\n",
        );
    }

    /// Runs lines of `nft`.
    pub fn nftables(&self, lines: &str) {
        let net = format!("--net={}", self.path().display());
        let output = feed("nsenter", &[&net, "nft", "-f", "-"], lines);
        assert!(output.status.success(), "`nft` of\n{lines}\n{}", text(&output).1);
    }

    /// What a named counter of `table inet t` counted.
    pub fn nft_counter(&self, counter: &str) -> u64 {
        let json = self.run("nft", &["-j", "list", "counter", "inet", "t", counter]);
        let json: Value = serde_json::from_str(&json).unwrap();
        json["nftables"]
            .as_array()
            .into_iter()
            .flatten()
            .find_map(|entry| entry["counter"]["packets"].as_u64())
            .unwrap_or_else(|| panic!("no counter {counter} in {json}"))
    }

    /// Sets a value below `/proc/sys`.
    pub fn sysctl(&self, path: &str, value: &str) {
        self.inside(|| fs::write(PathBuf::from("/proc/sys").join(path), value)).unwrap();
    }

    /// Turns features of a device on or off.
    pub fn ethtool(&self, device: &str, features: &str) {
        let words = ["-K", device].into_iter().chain(features.split_whitespace());
        self.run("ethtool", &words.collect::<Vec<_>>());
    }

    /// Index of a device.
    pub fn index(&self, device: &str) -> u32 {
        self.inside(|| nix::net::if_::if_nametoindex(device)).unwrap()
    }

    /// What the kernel itself counted at a device.
    pub fn counted(&self, device: &str) -> Counted {
        let json = run("ip", &["-n", &self.name, "-j", "-s", "link", "show", "dev", device]);
        let json: Value = serde_json::from_str(&json).unwrap();
        let stats = &json[0]["stats64"];
        let number = |direction: &str, what: &str| stats[direction][what].as_u64().unwrap();
        let wire = |direction| Wire::new(number(direction, "packets"), number(direction, "bytes"));
        Counted {
            received: wire("rx"),
            transmitted: wire("tx"),
            dropped: number("rx", "dropped") + number("tx", "dropped"),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The machine keeps nothing of a test, even one that failed.
        drop(crate::command::output(
            crate::command::program("ip").args(["netns", "del", &self.name]),
        ));
    }
}

impl Counted {
    /// What was counted since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            received: self.received.since(before.received),
            transmitted: self.transmitted.since(before.transmitted),
            dropped: self.dropped - before.dropped,
        }
    }
}
