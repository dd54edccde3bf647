//! Typical hosts of each product.

use super::*;

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
fn service_that_the_product_uses_is_a_role_of_it() {
    let database = host().listening(50051, "").listening(27017, "mongod");
    assert_eq!(roles(&only(&database)), ["host"]);
    let used = database.connected_from(50051, "10.20.0.5").connected_from(27017, "10.20.0.5");
    assert_eq!(roles(&only(&used)), ["host", "mongodb-node"]);
    // What the host uses of others is no role of its own.
    let proxy = host().listening(50051, "").connected_from(50051, "10.20.0.5");
    assert_eq!(roles(&only(&proxy.connected_to(8080, "10.20.0.5"))), ["host"]);
}
