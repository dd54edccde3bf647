//! What proposes nothing.

use super::*;

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
fn service_that_nobody_else_reaches_is_not_suggested() {
    let mut evidence = host();
    let address = "127.0.0.1:2548".parse().unwrap();
    evidence.listeners.push(Listener { transport: Transport::Tcp, address, process: None });
    assert_eq!(proposals(&evidence).len(), 0);
}
