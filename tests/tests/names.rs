//! Peers that are given by name: what a DNS server says of them decides whose traffic counts.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tests::{
    AGENT, DEADLINE, Daemon, Exchange, Flow, GUEST4, HOST4, Name, Open, PEER4, PEER6, Pair,
    dns::{DnsServer, RESOLV_CONF, Says},
    golden, listen, until, wall_clock,
};

const VAULT: Flow<'_> = Flow("backup-32004", "server", "client");
const NAME: &str = "br.example.com";

/// The host's own address among the guests.
const HOST_GUEST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// A cluster that is given by name, and clients by network.
const CONFIG: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "host"]
peers.cluster = ["br.example.com"]
[[system.expect]]
flow = "agent-*"
within = "never"

[[system]]
product = "gigavault-storage"
roles = ["server"]
sections = ["tcp_port_32004"]
peers.client = ["10.20.0.0/24"]
"#;

/// Waits until a name has these addresses, as many changes after the first; the metrics agree.
fn resolved(daemon: &Daemon<'_>, of: &str, addresses: &[IpAddr], changes: u32) -> Name {
    let known = until(&format!("{of} at {addresses:?}"), DEADLINE, || {
        let known = daemon.report().names.into_iter().find(|known| known.name == of).unwrap();
        if known.addresses == addresses { Ok(known) } else { Err(known) }
    });
    assert_eq!(known.changes, u64::from(changes), "{known:?}");
    let metric = |metric| {
        let series = daemon.series(metric, &[("name", of)]);
        assert_eq!(series.len(), 1, "{metric}: {series:?}");
        series[0].1
    };
    let count = u32::try_from(addresses.len()).unwrap();
    assert_eq!(metric("backupflow_name_addresses").to_bits(), f64::from(count).to_bits());
    assert_eq!(metric("backupflow_name_changes_total").to_bits(), f64::from(changes).to_bits());
    known
}

fn log_lines(daemon: &Daemon<'_>, part: &str) -> Vec<String> {
    daemon.log().lines().filter(|line| line.contains(part)).map(ToOwned::to_owned).collect()
}

/// Talks to a service of the host.
fn talk(pair: &Pair, address: IpAddr, port: u16, bytes: usize) -> Exchange {
    let here = SocketAddr::new(address, port);
    let open = Open::new(&pair.peer, &listen(&pair.host, here), here);
    open.send(bytes, bytes);
    open.close()
}

/// Waits until so many packets of a flow were counted, and nothing else was noticed.
fn counted(daemon: &Daemon<'_>, flow: Flow<'_>, exchanges: &[Exchange], strangers: usize) {
    let up = exchanges.iter().map(|exchange| exchange.up).sum::<u64>();
    let down = exchanges.iter().map(|exchange| exchange.down).sum::<u64>();
    daemon.settles(&format!("{up} and {down} packets of {flow:?}"), |report| {
        let (received, transmitted) = flow.counted(report);
        let found = (received.packets, transmitted.packets, report.unexpected_total);
        if found == (up, down, strangers) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn peer_that_moves_is_followed_when_the_ttl_has_run_out() {
    let pair = Pair::new();
    let dns = DnsServer::start(&pair.host);
    dns.says(NAME, Says::Alias("node.example.com".to_owned()));
    dns.says("node.example.com", Says::Addresses(vec![PEER4]));
    let daemon = Daemon::start_with_etc(&pair.host, CONFIG, &[("resolv.conf", RESOLV_CONF)]);
    let before = resolved(&daemon, NAME, &[PEER4], 0);

    let first = talk(&pair, HOST4, 50051, 1000);
    counted(&daemon, AGENT, &[first], 0);
    daemon.verdict(AGENT, "ok", None);

    let moved = wall_clock();
    dns.says("node.example.com", Says::Addresses(vec![GUEST4]));
    let after = resolved(&daemon, NAME, &[GUEST4], 1);
    assert!(before.since.unwrap() < moved && after.since.unwrap() > moved, "{before:?} {after:?}");
    let changes = log_lines(&daemon, "addresses changed");
    assert_eq!(changes.len(), 1, "{changes:?}");
    let said = format!("name=\"{NAME}\" old=\"{PEER4}\" new=\"{GUEST4}\"");
    assert!(changes[0].contains(&said), "{changes:?}");

    // What it sent while the address was its own was expected, and stays so.
    counted(&daemon, AGENT, &[first], 0);
    daemon.verdict(AGENT, "ok", None);
    let second = talk(&pair, HOST_GUEST4, 50051, 100_000);
    counted(&daemon, AGENT, &[first, second], 0);
    let third = talk(&pair, HOST4, 50051, 30_000);
    counted(&daemon, AGENT, &[first, second], 1);
    let stranger = daemon.next_report().unexpected.remove(0);
    assert_eq!((&*stranger.flow, &*stranger.cause), ("agent-50051", "address-changed"));
    assert_eq!(stranger.peer, PEER4.to_string());
    let packets = (stranger.received.packets, stranger.transmitted.packets);
    assert_eq!(packets, (third.up, third.down));
    golden("peer-that-moves", &daemon.status().1);

    // And back: what came in between is the peer's after all, once.
    dns.says("node.example.com", Says::Addresses(vec![PEER4]));
    resolved(&daemon, NAME, &[PEER4], 2);
    counted(&daemon, AGENT, &[first, second, third], 0);

    dns.forgets("node.example.com");
    resolved(&daemon, NAME, &[], 3);
    let said = daemon.verdict(AGENT, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("the name br.example.com is not resolved"));
    counted(&daemon, AGENT, &[first, second, third], 0);
}

#[test]
fn server_that_does_not_answer_delays_nothing() {
    let pair = Pair::new();
    let dns = DnsServer::start(&pair.host);
    dns.says(NAME, Says::Nothing);
    let daemon = Daemon::start_with_etc(&pair.host, CONFIG, &[("resolv.conf", RESOLV_CONF)]);
    let said = daemon.verdict(AGENT, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("the name br.example.com is not resolved"));
    let mut exchanges = Vec::new();
    until("a question without an answer", DEADLINE, || {
        exchanges.push(talk(&pair, HOST4, 32004, 10_000));
        counted(&daemon, VAULT, &exchanges, 0);
        if log_lines(&daemon, "not resolved").is_empty() { Err(()) } else { Ok(()) }
    });
    assert_eq!(resolved(&daemon, NAME, &[], 0).since, None);

    dns.says(NAME, Says::Addresses(vec![PEER4, PEER6]));
    resolved(&daemon, NAME, &[PEER4, PEER6], 0);
    daemon.verdict(AGENT, "idle", None);

    // A failure says nothing of where the peer is.
    dns.says(NAME, Says::Failure);
    until("failures", DEADLINE, || match log_lines(&daemon, "not resolved").len() {
        2 => Ok(()),
        other => Err(other),
    });
    let asked = dns.asked(NAME);
    until("another question", DEADLINE, || if dns.asked(NAME) > asked { Ok(()) } else { Err(()) });
    daemon.next_report();
    resolved(&daemon, NAME, &[PEER4, PEER6], 0);
    assert_eq!(log_lines(&daemon, "not resolved").len(), 2, "{}", daemon.log());
    exchanges.push(talk(&pair, HOST4, 32004, 10_000));
    counted(&daemon, VAULT, &exchanges, 0);
}

#[test]
fn files_of_the_host_are_read_when_they_change() {
    let config = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\"]\n\
                  peers.cluster = [\"br.example.com\", \"node\"]\n\
                  [[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n";
    let pair = Pair::new();
    let daemon =
        Daemon::start_with_etc(&pair.host, config, &[("hosts", "10.20.0.2 br.example.com\n")]);
    resolved(&daemon, NAME, &[PEER4], 0);
    let said = daemon.verdict(AGENT, "unknown", None);
    assert_eq!(said.evidence.reason.as_deref(), Some("the name node is not resolved"));
    let warnings = log_lines(&daemon, "WARN monitor::names");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("/etc/resolv.conf"), "{warnings:?}");

    let dns = DnsServer::start(&pair.host);
    dns.says("node.example.com", Says::Addresses(vec![PEER6]));
    daemon.write_etc("resolv.conf", &format!("{RESOLV_CONF}search example.net example.com\n"));
    resolved(&daemon, "node", &[PEER6], 0);
    daemon.verdict(AGENT, "idle", None);
    assert_eq!(dns.asked(NAME), 0, "the hosts file comes first");
}

#[test]
fn few_names_are_asked_for_at_a_time() {
    let mut config = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\"]\n\
                      peers.cluster = ["
        .to_owned();
    let names: Vec<String> = (0..100).map(|number| format!("n{number:02}.example.com")).collect();
    for name in &names {
        write!(config, "\"{name}\", ").unwrap();
    }
    config.push_str("]\n[[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n");
    let pair = Pair::new();
    let dns = DnsServer::start(&pair.host);
    for name in &names {
        dns.says(name, Says::Nothing);
    }
    // Longer than this test waits for a report.
    let patient = RESOLV_CONF.replace("timeout:1", "timeout:15");
    let daemon = Daemon::start_with_etc(&pair.host, &config, &[("resolv.conf", &patient)]);
    until("questions", DEADLINE, || match dns.names_asked().len() {
        8 => Ok(()),
        other => Err(other),
    });
    daemon.next_report();
    assert_eq!(dns.names_asked().len(), 8);
    for name in &names {
        dns.says(name, Says::Addresses(vec![PEER4]));
    }
    until("all answers", DEADLINE * 3, || {
        let report = daemon.report();
        let open: Vec<_> =
            report.names.into_iter().filter(|name| name.addresses != [PEER4]).collect();
        if open.is_empty() { Ok(()) } else { Err(open) }
    });
    daemon.verdict(AGENT, "idle", None);
}
