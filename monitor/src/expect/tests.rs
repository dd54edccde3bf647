//! What follows from a config, flow by flow.

use super::*;
use crate::{config, observe::PortSet};

fn lines(text: &str) -> Vec<String> {
    let config = config::parse("test.toml", text).unwrap();
    expectations(&config)
        .iter()
        .map(|expectation| {
            let ports: Vec<String> = expectation.ports.iter().map(ToString::to_string).collect();
            let legacy = match expectation.standing {
                Standing::Expected => "",
                Standing::Legacy => " legacy",
                Standing::Replaced => " replaced",
            };
            format!("{} {}{legacy}", expectation.key, ports.join(","))
        })
        .collect()
}

fn ports(text: &str) -> PortSet {
    documented_ports(&expectations(&config::parse("test.toml", text).unwrap()))
}

const SERVER: &str = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                      sections = [\"tcp_port_32004\", \"tcp_port_32005\"]\n";

#[test]
fn each_side_of_a_flow_and_each_role_of_the_peers_is_an_expectation() {
    assert_eq!(
        lines(SERVER),
        [
            "gigavault-storage: backup-32004 (server of client) 32004",
            "gigavault-storage: console-32005 (server of web-console) 32005",
            "gigavault-storage: discovery-32005 (client of client) 32005",
            "gigavault-storage: discovery-32005 (client of server) 32005",
            "gigavault-storage: discovery-32005 (server of client) 32005",
            "gigavault-storage: discovery-32005 (server of server) 32005",
        ]
    );
}

#[test]
fn changed_port_takes_the_place_of_the_documented_one() {
    let text = format!("{SERVER}ports.backup-32004 = 42004\n");
    assert_eq!(lines(&text)[0], "gigavault-storage: backup-32004 (server of client) 42004");
    // Who still uses the other one is told.
    for port in [42004, 32004] {
        assert!(ports(&text).contains(Transport::Tcp, port));
    }
}

#[test]
fn flow_that_stays_on_the_host_is_one_expectation() {
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"windows-physical-server\"]\n\
                sections = [\"physical_server_backup\"]\n";
    assert_eq!(
        lines(text),
        [
            "ibm-backup-recovery: agent-50051 (server of cluster) 50051",
            "ibm-backup-recovery: self-monitoring-59999 (server of self) 59999",
        ]
    );
}

#[test]
fn legacy_flow_is_counted_and_not_expected() {
    let text = "[[system]]\nproduct = \"ibm-cloud-backup\"\nroles = [\"agent\"]\n\
                scenario = \"federal\"\n";
    let legacy: Vec<String> =
        lines(text).into_iter().filter(|line| line.ends_with(" legacy")).collect();
    assert_eq!(
        legacy,
        [
            "ibm-cloud-backup: agent-808 (server of central-control) 808 legacy",
            "ibm-cloud-backup: agent-808 (server of portal) 808 legacy",
        ]
    );
    assert!(ports(text).contains(Transport::Tcp, 808));
}

#[test]
fn scenario_leaves_out_the_flows_of_the_others() {
    let text = |scenario| {
        format!(
            "[[system]]\nproduct = \"arctera-dlo\"\nroles = [\"dlo-io-server\", \"dlo-edge-server\"]\n\
             scenario = \"{scenario}\"\n"
        )
    };
    config::parse("test.toml", &text("non-boi")).unwrap_err();
    let lines = lines(&text("exclusive-boi"));
    let of_push: Vec<&String> = lines.iter().filter(|line| line.contains("push")).collect();
    assert_eq!(of_push, [""; 0]);
    assert!(
        lines.contains(&"arctera-dlo: edge-io-7009 (server of dlo-edge-server) 7009".to_owned())
    );
    assert!(lines.contains(&"arctera-dlo: sql-1433 (client of sql-server) 1433".to_owned()));
}

#[test]
fn only_the_ports_of_the_hosts_flows_are_counted() {
    let set = ports(SERVER);
    for port in 0..=u16::MAX {
        let documented = port == 32004 || port == 32005;
        assert_eq!(set.contains(Transport::Tcp, port), documented, "{port}");
        assert!(!set.contains(Transport::Udp, port), "{port}");
    }
}
