//! The expectations that follow for five hosts, compared with files that were reviewed against the
//! vendors' documents.
//!
//! `BLESS=1` writes the files anew: look at the difference.

#![expect(clippy::unwrap_used, clippy::tests_outside_test_module, reason = "all of this is a test")]

use std::{fs, path::Path};

use monitor::{
    config,
    expect::{Expectation, Peers, Standing, expectations},
    observe::{side_name, transport_name},
};

fn compare(host: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("{host}.toml");
    let text = fs::read_to_string(root.join("../tests/hosts").join(&file)).unwrap();
    let config = config::parse(&file, &text).unwrap();
    let lines: Vec<String> = expectations(&config).iter().map(line).collect();
    let said = format!("{}\n", lines.join("\n"));
    let golden = root.join("tests/golden/hosts").join(format!("{host}.txt"));
    blessed::compare(&golden, &said, "cargo test -p monitor --test hosts");
}

/// One expectation: flow, side, peers, ports, how strongly it is asked for, and what else holds of it.
fn line(expectation: &Expectation) -> String {
    let ports: Vec<String> = expectation.ports.iter().map(ToString::to_string).collect();
    let transports: Vec<&str> =
        expectation.transports.iter().map(|transport| transport_name(*transport)).collect();
    let peers = match &expectation.peers {
        Peers::Any => "anyone".to_owned(),
        Peers::Declared(peers) => format!("config: {}", list(peers)),
        Peers::Documented(peers) => format!("document: {}", list(peers)),
    };
    let mut line = format!(
        "{} {} of {} [{peers}] {}/{} {}",
        expectation.key.flow,
        side_name(expectation.key.side),
        expectation.key.peer_group,
        ports.join(","),
        transports.join(","),
        expectation.requirement,
    );
    let holds = [
        (expectation.standing == Standing::Legacy, "legacy".to_owned()),
        (expectation.standing == Standing::Replaced, "replaced".to_owned()),
        (expectation.same_host, "same host".to_owned()),
        (!expectation.firewall, "no firewall rule".to_owned()),
        (expectation.every_member, "every member".to_owned()),
        (
            expectation.alternatives.is_some(),
            format!("one of {}", expectation.alternatives.as_deref().unwrap_or_default()),
        ),
    ];
    for (_, what) in holds.into_iter().filter(|(holds, _)| *holds) {
        line.push_str(", ");
        line.push_str(&what);
    }
    line
}

fn list(peers: &[config::Peer]) -> String {
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    peers.join(" ")
}

#[test]
fn evault_agent() {
    compare("evault-agent");
}

#[test]
fn gigavault_server_with_tls() {
    compare("gigavault-server");
}

#[test]
fn dlo_client_in_occasional_boi() {
    compare("dlo-client");
}

#[test]
fn mssql_server_of_backup_and_recovery() {
    compare("mssql-server");
}

#[test]
fn linux_physical_server_of_backup_and_recovery() {
    compare("linux-physical-server");
}
