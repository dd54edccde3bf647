//! Devices that stand on others: every packet counts once, at the lowest device that it crosses.
//!
//! Not every kernel has these devices. `cargo xtask vmtest` runs the tests on kernels that have.

use std::net::SocketAddr;

use tests::{
    AGENT, Daemon, HOST4, Namespace, Open, PEER4, command, config, listen,
    net::{HOST_MAC, PEER_MAC, join, neighbours},
    segments,
};

const IP: u64 = 20;
const ETHERNET: u64 = 14;
const TAG: u64 = 4;

/// Two namespaces with that many pairs of devices between them, `eth0` and so on.
fn joined(pairs: u8) -> [Namespace; 2] {
    let ends = ["host", "peer"].map(Namespace::new);
    for number in 0..pairs {
        let device = format!("eth{number}");
        let ([mut host, mut peer], [a, b]) = ([HOST_MAC, PEER_MAC], &ends);
        (host[4], peer[4]) = (number, number);
        join(a, &device, host, b, &device, peer);
    }
    ends
}

/// Sends both ways between devices that were made of lines of `ip` in both namespaces, and compares.
fn counts(ends: [Namespace; 2], lines: &str, device: &str, watched: &[&str], headers: u64) {
    for (end, own, other, mac) in
        [(&ends[0], HOST4, PEER4, PEER_MAC), (&ends[1], PEER4, HOST4, HOST_MAC)]
    {
        // Groups of multicast are joined aloud otherwise.
        end.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        end.ip(lines);
        end.ip(&format!(
            "link set {device} up\naddress add {own}/24 dev {device}\n{}",
            neighbours(device, mac, &[other]),
        ));
    }
    let [host, peer] = &ends;
    let daemon = Daemon::start(host, config::SQL_SERVER);
    assert_eq!(daemon.report().watched(), watched);
    let at = SocketAddr::new(HOST4, 50051);
    let open = Open::new(peer, &listen(host, at), at);
    open.send(500_000, 50_000);
    let sent = open.close();
    let report = daemon.counts(
        AGENT,
        segments(sent.up, 500_000, headers),
        segments(sent.down, 50_000, headers),
    );
    assert_eq!(report.flow_map.entries, 1);
    assert_eq!(report.loss.values().sum::<u64>(), 0);
}

#[test]
#[ignore = "takes devices that this kernel may lack: see `cargo xtask vmtest`"]
fn vlan_counts_once() {
    let lines = "link add eth0.5 link eth0 type vlan id 5";
    counts(joined(1), lines, "eth0.5", &["eth0", "lo"], ETHERNET + TAG + IP);
}

#[test]
#[ignore = "takes devices that this kernel may lack: see `cargo xtask vmtest`"]
fn vlan_in_a_vlan_counts_once() {
    let lines = "link add outer link eth0 type vlan proto 802.1ad id 100\n\
                 link add inner link outer type vlan id 5\n\
                 link set outer up";
    counts(joined(1), lines, "inner", &["eth0", "lo"], ETHERNET + 2 * TAG + IP);
}

const BOND: &str = "link add bond0 type bond mode active-backup\n\
                    link set eth0 down\n\
                    link set eth1 down\n\
                    link set eth0 master bond0\n\
                    link set eth1 master bond0\n\
                    link set bond0 up\n";

#[test]
#[ignore = "takes devices that this kernel may lack: see `cargo xtask vmtest`"]
fn bond_counts_once_at_its_slaves() {
    counts(joined(2), BOND, "bond0", &["eth0", "eth1", "lo"], ETHERNET + IP);
}

#[test]
#[ignore = "takes devices that this kernel may lack: see `cargo xtask vmtest`"]
fn vlan_over_a_bond_counts_once() {
    let lines = format!("{BOND}link add bond0.5 link bond0 type vlan id 5");
    counts(joined(2), &lines, "bond0.5", &["eth0", "eth1", "lo"], ETHERNET + TAG + IP);
}

/// A tunnel is a device of its own: what is inside counts there, and what is outside is on no documented port.
#[test]
#[ignore = "takes devices that this kernel may lack: see `cargo xtask vmtest`"]
fn inside_of_wireguard_counts_once() {
    let ends = joined(1);
    let keys = [(); 2].map(|()| command::run("wg", &["genkey"]).trim().to_owned());
    let public = keys.each_ref().map(|key| {
        let output = command::feed("wg", &["pubkey"], key);
        command::text(&output).0.trim().to_owned()
    });
    let outside = ["192.0.2.1", "192.0.2.2"];
    for (own, other) in [(0, 1), (1, 0)] {
        let mac = [HOST_MAC, PEER_MAC][other];
        let there = outside[other].parse().unwrap();
        ends[own].ip(&format!(
            "address add {}/24 dev eth0\n{}link add wg0 type wireguard",
            outside[own],
            neighbours("eth0", mac, &[there]),
        ));
        let file = format!("/tmp/{}-wg", ends[own].name());
        let settings = format!(
            "[Interface]\nPrivateKey={}\nListenPort=51820\n[Peer]\nPublicKey={}\nAllowedIPs=0.0.0.0/0\nEndpoint={}:51820\n",
            keys[own], public[other], outside[other],
        );
        std::fs::write(&file, settings).unwrap();
        ends[own].run("wg", &["setconf", "wg0", &file]);
        std::fs::remove_file(file).unwrap();
    }
    counts(ends, "", "wg0", &["eth0", "lo", "wg0"], IP);
}
