//! Evidence of typical hosts, and what is proposed for them.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Evidence, Listener, Proposal, Seen, Undecided, proposals, render, shared};
use crate::{
    config,
    observe::{FlowId, Side, Transport},
};

impl Evidence {
    fn listening(mut self, port: u16, process: &str) -> Self {
        let process = (!process.is_empty()).then(|| process.to_owned());
        let address = format!("0.0.0.0:{port}").parse().unwrap();
        self.listeners.push(Listener { transport: Transport::Tcp, address, process });
        self
    }

    fn flow(mut self, side: Side, service_port: u16, peer: &str) -> Self {
        let peer: IpAddr = peer.parse().unwrap();
        let loopback = peer.is_loopback();
        let id = FlowId { service_port, transport: Transport::Tcp, side, loopback, peer };
        self.flows
            .entry(id)
            .or_insert(Seen { connections: 0, opened: 0, packets: 0 })
            .connections += 1;
        self
    }

    fn connected_to(self, port: u16, peer: &str) -> Self {
        self.flow(Side::Client, port, peer)
    }

    fn connected_from(self, port: u16, peer: &str) -> Self {
        self.flow(Side::Server, port, peer)
    }
}

fn host() -> Evidence {
    Evidence::default().listening(22, "sshd")
}

/// The only system, after the config that it makes was read.
fn only(evidence: &Evidence) -> Proposal {
    let proposals = proposals(evidence);
    reads(evidence, &proposals);
    let [proposal] = <[Proposal; 1]>::try_from(proposals).unwrap();
    proposal
}

/// The printed config is one, and says what the proposals say.
fn reads(evidence: &Evidence, proposals: &[Proposal]) -> String {
    let text = render(evidence, proposals);
    let config =
        config::parse("suggested.toml", &text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert_eq!(config.systems.len(), proposals.len());
    for (system, proposal) in config.systems.iter().zip(proposals) {
        assert_eq!(system.product.id, proposal.product);
        assert_eq!(system.roles, roles(proposal));
        assert_eq!(system.scenario, proposal.scenario);
        let options: Vec<&str> =
            proposal.options.iter().map(|option| option.option.as_str()).collect();
        assert_eq!(system.options, options);
        let written: BTreeMap<String, Vec<String>> = system
            .peers
            .iter()
            .map(|(role, peers)| (role.clone(), peers.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(written, peers(proposal));
    }
    text
}

fn roles(proposal: &Proposal) -> Vec<&str> {
    proposal.roles.iter().map(|role| role.role.as_str()).collect()
}

fn peers(proposal: &Proposal) -> BTreeMap<String, Vec<String>> {
    proposal
        .peers
        .iter()
        .map(|(role, machines)| (role.clone(), machines.keys().map(ToString::to_string).collect()))
        .collect()
}

fn groups(groups: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    groups.iter().map(|(role, machines)| ((*role).to_owned(), strings(machines))).collect()
}

#[test]
fn cloud_agent() {
    let evidence = host()
        .listening(2548, "VVAgent")
        .connected_to(8086, "10.0.82.12")
        .connected_from(2548, "10.0.82.12")
        .connected_from(2548, "10.1.2.3");
    let proposal = only(&evidence);
    assert_eq!(proposal.product, "ibm-cloud-backup");
    assert_eq!(roles(&proposal), ["agent"]);
    assert_eq!(
        proposal.roles[0].because,
        [
            "VVAgent listens on 2548/tcp (agent-2548)",
            "this host connects to 8086/tcp (portal-8086; other software uses this port too)",
        ]
    );
    // The document has this address for the commercial cloud.
    assert_eq!(proposal.scenario.as_deref(), Some("commercial"));
    assert!(proposal.scenario_alternatives.is_empty());
    assert_eq!(peers(&proposal), groups(&[("portal", &["10.0.82.12"])]));
    let seen = &proposal.peers["portal"][&"10.0.82.12".parse::<IpAddr>().unwrap()];
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        ["its port 8086/tcp: 1 connection now", "this host's port 2548/tcp: 1 connection now"]
    );
    assert_eq!(
        proposal.undecided,
        [Undecided {
            roles: ["central-control", "portal"].map(str::to_owned).into(),
            addresses: ["10.1.2.3".parse().unwrap()].into(),
            because: "connected to port 2548/tcp of this host. Add to central-control or portal, \
                      where it belongs"
                .to_owned(),
        }]
    );
    assert_eq!(proposal.open, ["amp-proxy", "central-control"]);
}

#[test]
fn cloud_is_a_guess_where_no_address_tells() {
    let evidence = host().listening(2548, "").connected_to(8086, "10.7.7.7");
    let proposal = only(&evidence);
    assert_eq!(proposal.scenario.as_deref(), Some("commercial"));
    assert_eq!(proposal.scenario_alternatives.keys().collect::<Vec<_>>(), ["federal"]);
    assert_eq!(proposal.roles[0].because[0], "this host listens on 2548/tcp (agent-2548)");
    let text = reads(&evidence, &[proposal]);
    assert!(
        text.contains("# A guess, to be confirmed: what is seen fits others as well:\n# - federal"),
        "{text}"
    );
    let seen = "\"10.7.7.7\", # its port 8086/tcp: 1 connection now \
                (a guess: other software uses this port too)\n";
    assert!(text.contains(seen), "{text}");

    let federal = only(&host().listening(2548, "").connected_to(8086, "100.100.6.20"));
    assert_eq!(federal.scenario.as_deref(), Some("federal"));
    assert!(federal.scenario_alternatives.is_empty());
}

#[test]
fn backup_server() {
    let evidence = host()
        .listening(32004, "SGServer")
        .listening(32005, "SGServer")
        .connected_from(32004, "10.1.2.3")
        .connected_from(32005, "10.1.2.3")
        .connected_from(32004, "10.1.2.4");
    let proposal = only(&evidence);
    assert_eq!(proposal.product, "gigavault-storage");
    assert_eq!(roles(&proposal), ["server"]);
    assert_eq!(
        proposal.roles[0].because,
        [
            "SGServer listens on 32004/tcp (backup-32004)",
            "SGServer listens on 32005/tcp (console-32005, discovery-32005)",
        ]
    );
    assert!(proposal.alternatives.is_empty());
    assert_eq!((proposal.scenario, proposal.options.len()), (None, 0));
    // On 32005 anyone may come, but who backs up is a client.
    let proposal = only(&evidence);
    assert_eq!(peers(&proposal), groups(&[("client", &["10.1.2.3", "10.1.2.4"])]));
    assert!(proposal.undecided.is_empty());
}

#[test]
fn option_where_its_port_takes_the_place_of_another() {
    let proposal = only(&host().connected_to(32007, "10.1.2.3"));
    assert_eq!(roles(&proposal), ["client"]);
    assert_eq!(proposal.options[0].option, "ssl");
    assert_eq!(peers(&proposal), groups(&[("server", &["10.1.2.3"])]));
    let both = host().connected_to(32007, "10.1.2.3").connected_to(32004, "10.1.2.3");
    assert!(only(&both).options.is_empty());
}

#[test]
fn endpoint_with_connections_to_its_servers() {
    let evidence = host()
        .connected_to(8443, "10.1.2.3")
        .connected_to(8080, "10.1.2.3")
        .connected_to(1433, "10.1.2.4")
        .connected_to(445, "10.1.2.5");
    let proposal = only(&evidence);
    assert_eq!(proposal.product, "arctera-dlo");
    assert_eq!(roles(&proposal), ["dlo-client"]);
    assert!(proposal.doubt.is_some());
    assert_eq!(proposal.scenario.as_deref(), Some("non-boi"));
    assert_eq!(proposal.scenario_alternatives.keys().collect::<Vec<_>>(), ["occasional-boi"]);
    let expected = groups(&[("dlo-dedupe-server", &["10.1.2.3"]), ("sql-server", &["10.1.2.4"])]);
    assert_eq!(peers(&proposal), expected);
    // Everybody has file servers.
    let [files] = proposal.undecided.as_slice() else { panic!("{proposal:#?}") };
    assert_eq!(files.addresses, ["10.1.2.5".parse().unwrap()].into());
    assert!(proposal.open.contains(&"storage-location".to_owned()));
}

#[test]
fn database_server_with_an_agent() {
    let evidence = host()
        .listening(50051, "linux_agent")
        .connected_to(11113, "10.20.0.5")
        .connected_to(445, "10.20.0.5")
        .connected_to(445, "10.9.9.9")
        .connected_from(50051, "10.20.0.6");
    let proposal = only(&evidence);
    assert_eq!(proposal.product, "ibm-backup-recovery");
    assert_eq!(roles(&proposal), ["ms-sql-server"]);
    assert_eq!(
        proposal.roles[0].because,
        [
            "this host connects to 11113/tcp (mssql-vdi-11113)",
            "linux_agent listens on 50051/tcp (agent-50051)",
        ]
    );
    assert_eq!(
        proposal.alternatives.keys().collect::<Vec<_>>(),
        ["oracle-server", "postgresql-server"]
    );
    assert_eq!(peers(&proposal), groups(&[("cluster", &["10.20.0.5", "10.20.0.6"])]));
    let [files] = proposal.undecided.as_slice() else { panic!("{proposal:#?}") };
    assert_eq!(files.addresses, ["10.9.9.9".parse().unwrap()].into());
}

#[test]
fn agent_alone_is_the_role_that_others_include() {
    let proposal = only(&host().listening(50051, "linux_agent"));
    assert_eq!(roles(&proposal), ["host"]);
    for other in ["physical-server", "ms-sql-server", "hyper-v-host"] {
        assert!(proposal.alternatives.contains_key(other), "{other}");
    }
    // It would listen on many ports.
    assert!(!proposal.alternatives.contains_key("cluster"));
    assert_eq!((proposal.peers.len(), proposal.open.as_slice()), (0, &["cluster".to_owned()][..]));
}

#[test]
fn roles_together_where_none_explains_all() {
    let evidence = host().listening(32004, "").listening(50051, "").connected_to(32004, "10.1.2.3");
    let proposals = proposals(&evidence);
    reads(&evidence, &proposals);
    let proposed: Vec<_> =
        proposals.iter().map(|proposal| (proposal.product.as_str(), roles(proposal))).collect();
    assert_eq!(
        proposed,
        [("gigavault-storage", vec!["client", "server"]), ("ibm-backup-recovery", vec!["host"])]
    );
}

#[test]
fn usual_ports_propose_nothing() {
    let ports = [22, 25, 53, 80, 111, 135, 139, 389, 443, 445, 636, 2049, 5353, 49200];
    let mut evidence = host();
    for port in ports {
        evidence = evidence
            .listening(port, "")
            .connected_to(port, "10.1.2.3")
            .connected_from(port, "10.1.2.4");
    }
    assert_eq!(proposals(&evidence).len(), 0);
}

#[test]
fn ports_of_other_software_propose_nothing_by_themselves() {
    for port in [8443, 8080, 27017, 3000, 1433, 8086] {
        let evidence = host().listening(port, "").connected_to(port, "10.1.2.3");
        assert_eq!(proposals(&evidence).len(), 0, "{port}");
        assert_eq!(shared(&evidence), [format!("{port}/tcp")].into());
    }
    // A host with Tomcat, and another one with MongoDB and Cassandra.
    let evidence = host().listening(8080, "java").listening(8443, "java").listening(8009, "java");
    assert_eq!(proposals(&evidence).len(), 0);
    let mut evidence = host();
    for port in [27017, 27018, 27019, 7000, 7001, 7199, 9042, 9160] {
        evidence = evidence.listening(port, "").connected_to(port, "10.1.2.3");
    }
    assert_eq!(proposals(&evidence).len(), 0);
}

#[test]
fn ephemeral_port_that_is_a_documented_one_proposes_nothing() {
    // From port 50051 here to HTTPS there: the flow is one of port 443.
    assert_eq!(proposals(&host().connected_to(443, "10.1.2.3")).len(), 0);
}

#[test]
fn this_host_is_no_peer_of_itself() {
    let evidence = host()
        .listening(32004, "")
        .connected_from(32004, "127.0.0.1")
        .connected_from(32004, "::1")
        .connected_from(32004, "10.1.2.3");
    assert_eq!(peers(&only(&evidence)), groups(&[("client", &["10.1.2.3"])]));
}

#[test]
fn service_that_nobody_else_reaches_is_none() {
    let mut evidence = host();
    let address = "127.0.0.1:2548".parse().unwrap();
    evidence.listeners.push(Listener { transport: Transport::Tcp, address, process: None });
    assert_eq!(proposals(&evidence).len(), 0);
}

#[test]
fn name_of_a_process_stays_in_its_comment() {
    let evidence = host().listening(2548, "a\nproduct = \"x\"\u{7f}\u{1b}[31m");
    let proposals = proposals(&evidence);
    let text = reads(&evidence, &proposals);
    let line = r#"# - a\nproduct = \"x\"\u{7f}\u{1b}[31m listens on 2548/tcp (agent-2548)"#;
    assert!(text.contains(line), "{text}");
}

#[test]
fn comments_say_how_often_and_for_how_long() {
    let mut evidence = host().listening(2548, "").connected_from(2548, "10.1.2.3");
    evidence.watched = Some(60);
    for seen in evidence.flows.values_mut() {
        *seen = Seen { connections: 2, opened: 3, packets: 40 };
    }
    let mut flow = *evidence.flows.keys().next().unwrap();
    (flow.side, flow.service_port) = (Side::Client, 8086);
    evidence.flows.insert(flow, Seen { connections: 0, opened: 0, packets: 1 });
    let text = reads(&evidence, &proposals(&evidence));
    assert!(text.contains("packets were watched for 60 s"), "{text}");
    let seen = "    # its port 8086/tcp: 1 packet in 60 s\n    # this host's port 2548/tcp: \
                2 connections now, 40 packets, 3 connections opened in 60 s\n    \"10.1.2.3\",\n";
    assert!(text.contains(seen), "{text}");
}
