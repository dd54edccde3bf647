//! Captures as they come: of all devices together, from the middle of a session, of some addresses only.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tests::{
    AGENT, Capture, Daemon, Flow, HOST4, HOST6, Namespace, Open, PEER4, PEER6, Pair, Report, at,
    binary,
    command::{output, program, text},
    config, listen,
    net::{HOST_MAC, PEER_MAC, neighbours},
    turned_away, udp_socket,
};

use crate::lost_datagrams::{SCANNED, VAULT};

const VDI: Flow<'_> = Flow("mssql-vdi-11117", "client", "cluster");
const STREAM: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");
const SMB: Flow<'_> = Flow("mssql-smb-445", "client", "cluster");

/// Where nothing is, and nothing is expected.
const LAST: SocketAddr = at(PEER4, 11117);

/// Exit code, report and messages of a capture that was taken at a host with some addresses.
fn said(capture: &Path, config: &Path, host: &[IpAddr]) -> (Option<i32>, String, String) {
    let mut replay = program(binary());
    replay.arg("replay").arg(capture).args(["--format", "json", "--config"]).arg(config);
    for address in host {
        replay.args(["--host", &address.to_string()]);
    }
    let output = output(&mut replay);
    let (report, said) = text(&output);
    (output.status.code(), report, said)
}

fn replay(capture: &Path, config: &Path, host: &[IpAddr]) -> (Option<i32>, Report) {
    let (code, report, said) = said(capture, config, host);
    (code, serde_json::from_str(&report).expect(&said))
}

/// The same, with nothing to be said about the file.
fn whole(capture: &Path, config: &Path) -> (Option<i32>, Report) {
    let (code, report, said) = said(capture, config, &[HOST4, HOST6]);
    assert_eq!(said, "");
    (code, serde_json::from_str(&report).unwrap())
}

/// Makes the host's device a port of a bridge, which has its addresses from then on.
fn bridge(end: &Namespace, own: [IpAddr; 2], others: [IpAddr; 2], mac: [u8; 6], other: [u8; 6]) {
    let [own4, own6] = own;
    end.sysctl("net/ipv6/conf/default/disable_ipv6", "0");
    let text = mac.map(|octet| format!("{octet:02x}")).join(":");
    end.ip(&format!(
        "address del {own4}/24 dev eth0\naddress del {own6}/64 dev eth0\n\
         link add br0 type bridge mcast_snooping 0\nlink set br0 address {text}\n\
         link set br0 addrgenmode none\nlink set eth0 master br0\nlink set br0 up\n\
         address add {own4}/24 dev br0\naddress add {own6}/64 dev br0 nodad\n{}",
        neighbours("br0", other, &others),
    ));
}

/// Captures by the header with the device's number, and by the older one without.
fn captures(namespace: &Namespace) -> [Capture; 2] {
    // With room for the headers alone, the buffer has some for every packet.
    let start =
        |link| Capture::start_with(namespace, "any", &["-s", "256", "-B", "16384", "-y", link]);
    ["LINUX_SLL2", "LINUX_SLL"].map(start)
}

fn files(captures: &mut [Capture; 2], host: &Namespace) -> Vec<PathBuf> {
    let files = captures.iter_mut().map(|capture| {
        capture.follows(host, LAST);
        let (file, said) = capture.stop();
        assert!(said.contains("0 packets dropped by kernel"), "{said}");
        file.to_owned()
    });
    files.collect()
}

#[test]
fn capture_of_all_devices_counts_each_packet_once() {
    // The bridge hands packets of many segments on to a device that cuts them.
    let pair = Pair::new();
    for end in [&pair.host, &pair.peer] {
        end.ethtool("eth0", "tso off gso off gro off");
    }
    bridge(&pair.host, [HOST4, HOST6], [PEER4, PEER6], HOST_MAC, PEER_MAC);
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut captures = captures(&pair.host);
    for (own, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        let agent = Open::new(&pair.peer, &listen(&pair.host, at(own, 50051)), at(own, 50051));
        agent.send(100_000, 300_000);
        agent.close();
        let to = at(peer, 11117);
        Open::new(&pair.host, &listen(&pair.peer, to), to).close();
    }
    turned_away(&pair.host, at(PEER4, 11113), Duration::from_millis(100));
    for (flow, verdict) in [(AGENT, "ok"), (VDI, "ok"), (STREAM, "refused")] {
        daemon.verdict(flow, verdict, (verdict == "refused").then_some("remote-refused"));
    }
    let live = daemon.report();
    let packets: u64 = [AGENT, VDI, STREAM]
        .map(|flow| flow.counted(&live))
        .iter()
        .map(|(received, sent)| received.packets + sent.packets)
        .sum();
    for file in files(&mut captures, &pair.host) {
        // Of nearly every packet there are two, or a part and the whole.
        let listed = output(program("tcpdump").arg("-nr").arg(&file).arg("tcp"));
        let frames = text(&listed).0.lines().count() as u64;
        assert!(frames > packets + packets / 4, "{frames} frames of {packets} packets");
        let (code, replayed) = whole(&file, &daemon.config_file());
        assert_eq!(code, Some(1));
        for flow in [AGENT, VDI, STREAM] {
            assert_eq!(flow.counted(&replayed), flow.counted(&live), "{flow:?} {}", file.display());
            assert_eq!(flow.find(&replayed).verdict, flow.find(&live).verdict);
        }
        assert_eq!(replayed.lost(), []);
    }
}

#[test]
fn session_that_began_before_the_capture_is_attributed() {
    let pair = Pair::without_offloads();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let agents = [HOST4, HOST6]
        .map(|own| Open::new(&pair.peer, &listen(&pair.host, at(own, 50051)), at(own, 50051)));
    let to = at(PEER4, 11117);
    let vdi = Open::new(&pair.host, &listen(&pair.peer, to), to);
    let before: Vec<_> = agents.iter().map(Open::segments).collect();
    let mut both_ways = Capture::start(&pair.host, "eth0");
    let mut one_way = Capture::start_with(
        &pair.host,
        "eth0",
        &["dst", "port", "11117", "or", "dst", "port", "50051"],
    );
    let after: Vec<_> = agents
        .into_iter()
        .map(|agent| {
            agent.send(3000, 3000);
            agent.close()
        })
        .collect();
    vdi.send(3000, 3000);
    vdi.close();
    both_ways.follows(&pair.host, LAST);
    let (file, _) = both_ways.stop();
    let (code, replayed) = whole(file, &daemon.config_file());
    assert_eq!(code, Some(0));
    assert_eq!((&*AGENT.find(&replayed).verdict, &*VDI.find(&replayed).verdict), ("ok", "ok"));
    let (received, sent) = AGENT.counted(&replayed);
    let since = |of: fn(&tests::Exchange) -> u64| {
        after.iter().map(of).sum::<u64>() - before.iter().map(of).sum::<u64>()
    };
    assert_eq!((received.packets, sent.packets), (since(|e| e.up), since(|e| e.down)));
    assert_eq!(replayed.lost(), []);
    // Of what goes one way it is not known whether it comes to anything.
    one_way.follows(&pair.host, LAST);
    let (file, _) = one_way.stop();
    let (code, replayed) = whole(file, &daemon.config_file());
    assert_eq!(code, Some(0));
    for flow in [AGENT, VDI] {
        let found = flow.find(&replayed);
        assert_eq!(found.verdict, "unknown");
        let reason = found.evidence.reason.as_deref().unwrap();
        assert!(
            reason.starts_with("the capture begins in the middle of its connections"),
            "{reason}"
        );
        assert!(found.last_seen.is_some());
    }
    assert_eq!(AGENT.counted(&replayed).0, received);
}

#[test]
fn firewall_of_the_host_itself_is_named_from_a_capture() {
    let pair = Pair::without_offloads();
    for end in [&pair.host, &pair.peer] {
        end.nftables("delete table ip6 quiet\n");
    }
    pair.host.nft(
        "chain o {\ntype filter hook output priority 0\n\
         tcp dport 11113 reject with icmpx type admin-prohibited\n\
         tcp dport 11117 reject with tcp reset\n}\n\
         chain i {\ntype filter hook input priority 0\n\
         tcp dport 50051 reject with icmpx type admin-prohibited\n}",
    );
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut captures = captures(&pair.host);
    for (own, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        turned_away(&pair.host, at(peer, 11113), Duration::from_millis(200));
        turned_away(&pair.host, at(peer, 11117), Duration::from_millis(200));
        turned_away(&pair.peer, at(own, 50051), Duration::from_millis(200));
        turned_away(&pair.host, at(peer, 445), Duration::from_millis(200));
    }
    let expected = [
        (STREAM, "refused", "local-firewall-reject"),
        // Of what it answers in the peer's name, this is what the daemon says too.
        (VDI, "blocked", "local-firewall-out"),
        (AGENT, "refused", "local-firewall-reject"),
        (SMB, "refused", "remote-refused"),
    ];
    daemon.verdict(VDI, "blocked", Some("local-firewall-out"));
    daemon.verdict(SMB, "refused", Some("remote-refused"));
    for file in files(&mut captures, &pair.host) {
        let (code, replayed) = whole(&file, &daemon.config_file());
        assert_eq!(code, Some(1));
        for (flow, verdict, cause) in expected {
            let found = flow.find(&replayed);
            let of_peer = found.evidence.failing.iter().map(|failing| &*failing.cause);
            assert_eq!(found.verdict, verdict, "{found:#?}");
            assert_eq!(of_peer.collect::<Vec<_>>(), [cause, cause], "{found:#?}");
        }
    }
}

#[test]
fn datagrams_that_this_host_turns_down_are_refused_in_a_capture() {
    let pair = Pair::without_offloads();
    let daemon = Daemon::start(&pair.host, VAULT);
    let mut capture = Capture::start(&pair.host, "eth0");
    let socket = udp_socket(&pair.peer, at(PEER4, 0));
    for _ in 0..3 {
        socket.send_to(b"anyone?", at(HOST4, 32006)).unwrap();
    }
    daemon.verdict(SCANNED, "refused", Some("no-listener"));
    capture.follows(&pair.host, LAST);
    let (file, _) = capture.stop();
    let (code, replayed) = replay(file, &daemon.config_file(), &[HOST4]);
    let found = SCANNED.find(&replayed);
    // A firewall may say the same, so that nobody can tell why.
    let told = (&*found.verdict, found.cause.as_deref(), found.evidence.failing[0].attempts);
    assert_eq!((code, told), (Some(1), ("refused", Some("undetermined"), 3)));
}

#[test]
fn address_that_the_capture_needs_is_asked_for() {
    let pair = Pair::without_offloads();
    let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
    let mut capture = Capture::start(&pair.host, "eth0");
    for own in [HOST4, HOST6] {
        Open::new(&pair.peer, &listen(&pair.host, at(own, 50051)), at(own, 50051)).close();
    }
    capture.follows(&pair.host, LAST);
    let (file, _) = capture.stop();
    let config = daemon.config_file();
    let (code, report, messages) = said(file, &config, &[HOST4]);
    assert_eq!(code, Some(1));
    assert!(
        messages.contains(&format!("declared peers and {HOST6}, which `--host` does not")),
        "{messages}"
    );
    let report: Report = serde_json::from_str(&report).unwrap();
    let found = AGENT.find(&report);
    assert_eq!(found.verdict, "unknown", "{found:#?}");
    let reason = found.evidence.reason.as_deref().unwrap();
    assert!(reason.contains(&HOST6.to_string()), "{reason}");
    // None of them is a wrong one.
    let (code, report, messages) = said(file, &config, &["10.20.0.77".parse().unwrap()]);
    assert_eq!((code, &*report), (Some(1), ""));
    assert!(
        messages.contains(&format!("{HOST4}, {HOST6} talk with the declared peers")),
        "{messages}"
    );
    assert_eq!(whole(file, &config).0, Some(0));
}
