//! The exported firewall rules of five hosts, with real packets.

mod forms;
mod probe;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    thread,
};

use probe::{Key, Probe, Service};
use rules::Export;
use tests::{Pair, binary, command};

/// What an administrator has: nothing passes but what the exported chains accept.
const DEFAULT_DROP: &str = "table inet filter {
chain input {\ntype filter hook input priority 0; policy drop;\njump backupflow_input\n}
chain output {\ntype filter hook output priority 0; policy drop;\njump backupflow_output\n}
}\n";

const HOSTS: &[&str] =
    &["evault-agent", "gigavault-server", "dlo-client", "mssql-server", "linux-physical-server"];

fn config(host: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("hosts").join(format!("{host}.toml"))
}

/// What is exported for a host.
fn export(host: &str, arguments: &[&str]) -> String {
    let config = config(host).display().to_string();
    let arguments = [&["catalog", "export", "--config", &config, "--format"], arguments].concat();
    command::run(&binary().display().to_string(), &arguments)
}

/// How much of a host was tried.
#[derive(Debug, PartialEq, Eq)]
struct Tried {
    rules: usize,
    passed: usize,
    blocked: usize,
}

/// Loads a host's rules, and tries what they open and what lies beside.
fn lets_through_what_is_needed(host: &str, expected: Tried) {
    let pair = Pair::new();
    let export_of_host: Export = serde_json::from_str(&export(host, &["json"])).unwrap();
    let network = rules::Network::of(&export_of_host);
    network.make(&pair);
    let ruleset = export(host, &["nftables"]);
    pair.host.nftables(&ruleset);
    pair.host.nftables(&network.elements());
    // Loaded again, it replaces the rules and keeps what is in the sets.
    pair.host.nftables(&ruleset);
    pair.host.nftables(DEFAULT_DROP);

    let rules = &export_of_host.rules;
    let needed: Vec<Probe> = rules.iter().flat_map(|rule| network.needed(rule)).collect();
    let beside: BTreeSet<Probe> =
        rules.iter().flat_map(|rule| network.beside(rules, rule)).collect();
    let mut services: BTreeMap<Key, Service> = BTreeMap::new();
    let mut clients: BTreeMap<Key, Vec<Probe>> = BTreeMap::new();
    for probe in needed.iter().chain(&beside) {
        services.entry(probe.key()).or_insert_with(|| probe.serve(&pair));
    }
    for probe in &beside {
        clients.entry(probe.key()).or_default().push(*probe);
    }
    let passes = |probe: &Probe, when: &str| {
        probe
            .passes(&pair, &services[&probe.key()])
            .unwrap_or_else(|error| panic!("{probe:?} {when}: {error}"));
    };
    for probe in &needed {
        passes(probe, "with the rules");
    }
    thread::scope(|scope| {
        for (key, clients) in &clients {
            scope.spawn(|| probe::none_passes(clients, &pair, &services[key]));
        }
    });
    // It was the ruleset that held these back.
    pair.host.nftables("delete table inet filter");
    for probe in &beside {
        passes(probe, "without the rules");
    }
    let tried = Tried { rules: rules.len(), passed: needed.len(), blocked: beside.len() };
    assert_eq!(tried, expected);
}

#[test]
fn evault_agent_is_opened_as_needed() {
    lets_through_what_is_needed("evault-agent", Tried { rules: 5, passed: 34, blocked: 65 });
}

#[test]
fn gigavault_server_with_tls_is_opened_as_needed() {
    lets_through_what_is_needed("gigavault-server", Tried { rules: 8, passed: 13, blocked: 24 });
}

#[test]
fn dlo_client_is_opened_as_needed() {
    lets_through_what_is_needed("dlo-client", Tried { rules: 11, passed: 57, blocked: 75 });
}

#[test]
fn sql_server_is_opened_as_needed() {
    lets_through_what_is_needed("mssql-server", Tried { rules: 5, passed: 20, blocked: 40 });
}

#[test]
fn linux_server_is_opened_as_needed() {
    lets_through_what_is_needed(
        "linux-physical-server",
        Tried { rules: 7, passed: 18, blocked: 38 },
    );
}
