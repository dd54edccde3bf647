//! Rules that a table of ports cannot say.

use std::net::IpAddr;

use super::*;

/// A bench with a config of its own, one hour into its watch.
fn bench(config: &str) -> Bench {
    let mut bench = Bench::new();
    bench.expectations = expectations(&config::parse("test.toml", config).unwrap());
    bench.wait(3600);
    bench
}

fn connect(bench: &mut Bench, peer: &str, port: u16) {
    bench.connect(flow(Side::Client, peer, port));
}

fn name(bench: &mut Bench, name: &str, address: &str) {
    bench.names.insert(name.to_owned(), vec![address.parse::<IpAddr>().unwrap()]);
}

const AGENT: &str = r#"
    [[system]]
    product = "ibm-cloud-backup"
    roles = ["agent"]
    scenario = "commercial"
    peers.amp-proxy = ["10.2.118.12", "10.2.118.13", "10.2.200.0/24"]
    [[system.expect]]
    flow = "amp-8087"
    within = "1h"
"#;

#[test]
fn every_member_has_to_be_seen_where_presence_is_due() {
    let mut bench = bench(AGENT);
    connect(&mut bench, "10.2.118.12", 8087);
    let judgement = bench.judge("amp-8087");
    assert_eq!(
        (judgement.verdict, judgement.cause),
        (Verdict::Missing, Some(Cause::NeverConnected))
    );
    assert_eq!(judgement.reason.as_deref(), Some("not seen: 10.2.118.13"));
    connect(&mut bench, "10.2.118.13", 8087);
    assert_eq!(bench.verdict("amp-8087"), (Verdict::Ok, None));
    // An hour later the first has been silent too long, the second has not.
    bench.wait(3600);
    connect(&mut bench, "10.2.118.13", 8087);
    bench.wait(1);
    assert_eq!(bench.judge("amp-8087").reason.as_deref(), Some("not seen: 10.2.118.12"));
}

#[test]
fn any_member_is_enough_where_nothing_is_due() {
    let mut bench = bench(&AGENT.replace("amp-8087", "agent-2548"));
    connect(&mut bench, "10.2.118.12", 8087);
    assert_eq!(bench.verdict("amp-8087"), (Verdict::Ok, None));
}

#[test]
fn names_of_the_document_are_the_peers_of_an_open_group() {
    let mut bench = bench(
        "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"cluster\"]\n\
         sections = [\"cohesity_support\", \"cloud_workflow\"]\n",
    );
    let judgement = bench.judge("support-443");
    assert_eq!(judgement.verdict, Verdict::Unknown);
    let reason = "the document names support-connect.cohesity.com, which stands for no known address: list the peers in the config";
    assert_eq!(judgement.reason.as_deref(), Some(reason));
    // One of the two names is enough to judge by.
    name(&mut bench, "support-connect-trust.cohesity.com", "192.0.2.7");
    assert_eq!(bench.verdict("support-443"), (Verdict::Idle, None));
    connect(&mut bench, "192.0.2.8", 443);
    assert_eq!(bench.verdict("support-443"), (Verdict::Idle, None));
    connect(&mut bench, "192.0.2.7", 443);
    assert_eq!(bench.verdict("support-443"), (Verdict::Ok, None));
}

#[test]
fn star_of_the_document_stands_for_the_names_below_it_that_are_known() {
    let mut bench = bench(
        "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"cluster\"]\n\
         sections = [\"cloud_workflow\", \"cluster_upgrade\"]\n",
    );
    let aws = |bench: &mut Bench| {
        let of_aws = |expectation: &Expectation| {
            expectation.key.flow == "cloud-archive-443" && expectation.key.peer_group == "aws"
        };
        let index = bench.expectations.iter().position(of_aws).unwrap();
        let judgement = bench.assess().judgements.swap_remove(index).unwrap();
        (judgement.verdict, judgement.reason.unwrap_or_default())
    };
    let (verdict, reason) = aws(&mut bench);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(reason.starts_with("the document names *.amazonaws.com, which"), "{reason}");
    // Another flow of the document names a host below it.
    name(&mut bench, "s3-us-west-2.amazonaws.com", "192.0.2.9");
    name(&mut bench, "notamazonaws.com", "192.0.2.10");
    connect(&mut bench, "192.0.2.10", 443);
    assert_eq!(aws(&mut bench).0, Verdict::Idle);
    connect(&mut bench, "192.0.2.9", 443);
    assert_eq!(aws(&mut bench).0, Verdict::Ok);
}

#[test]
fn one_of_the_alternatives_is_enough() {
    let mut bench = bench(
        "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"cluster\"]\nsections = [\"smtp\"]\n\
         peers.smtp-server = [\"10.9.9.9\"]\n\
         [[system.expect]]\nflow = \"smtp-*\"\nwithin = \"1h\"\n",
    );
    assert_eq!(bench.verdict("smtp-25"), (Verdict::Missing, Some(Cause::NeverConnected)));
    connect(&mut bench, "10.9.9.9", 587);
    assert_eq!(bench.verdict("smtp-587"), (Verdict::Ok, None));
    assert_eq!(bench.verdict("smtp-25"), (Verdict::Idle, None));
    assert_eq!(bench.verdict("smtp-dynamic").0, Verdict::Unknown);
    bench.wait(3601);
    assert_eq!(bench.verdict("smtp-25"), (Verdict::Missing, Some(Cause::NeverConnected)));
}

#[test]
fn one_direction_of_two_is_enough_unless_the_port_is_open_at_both_ends() {
    let config = |role, section| {
        format!(
            "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"{role}\"]\n\
             sections = [\"{section}\"]\n[[system.expect]]\nflow = \"*\"\nwithin = \"1h\"\n"
        )
    };
    let verdicts = |bench: &mut Bench, flow: &str| {
        let expectations = bench.expectations.clone();
        let judgements = bench.assess().judgements;
        let found = expectations.iter().zip(judgements).filter(|(e, _)| e.key.flow == flow);
        found.map(|(e, judgement)| (e.key.side, judgement.unwrap().verdict)).collect::<Vec<_>>()
    };
    let mut rhv = bench(&config("rhv-host", "rhv"));
    connect(&mut rhv, "10.9.9.9", 50051);
    let said = verdicts(&mut rhv, "agent-vm-50051");
    assert_eq!(said, [(Side::Client, Verdict::Ok), (Side::Server, Verdict::Idle)]);

    let mut nfs = bench(&config("nfs-client", "nfs_for_baas_full_notm_views"));
    connect(&mut nfs, "10.9.9.9", 111);
    let said = verdicts(&mut nfs, "nfs-view-111");
    assert_eq!(said, [(Side::Client, Verdict::Ok), (Side::Server, Verdict::Missing)]);
}

#[test]
fn plain_text_port_is_unexpected_once_the_config_says_that_tls_is_on() {
    let server = "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"server\"]\n\
                  peers.client = [\"10.30.0.0/24\"]\n";
    let backup = flow(Side::Server, "10.30.0.9", 32004);
    let mut plain = bench(server);
    plain.accept(backup);
    assert_eq!(plain.verdict("backup-32004"), (Verdict::Ok, None));

    let mut tls = bench(&format!("{server}options = [\"ssl\"]\n"));
    tls.accept(backup);
    let assessment = tls.assess();
    let causes: Vec<Cause> = assessment.unexpected.iter().map(|stranger| stranger.cause).collect();
    assert_eq!(causes, [Cause::PlaintextPort]);
    let judged = tls.expectations.iter().zip(&assessment.judgements);
    let of = |flow: &str| judged.clone().find(|(e, _)| e.key.flow == flow).unwrap().1.is_some();
    assert!(!of("backup-32004") && of("backup-ssl-32007"));
}

#[test]
fn every_port_of_a_wide_range_is_covered() {
    let config = "[[system]]\nproduct = \"arctera-dlo\"\nroles = [\"dlo-client\"]\nscenario = \"non-boi\"\n\
                  peers.dlo-administration-server = [\"10.1.1.1\"]\n\
                  peers.dlo-administration-console = [\"10.1.1.2\"]\n";
    for (port, expected) in [
        (135, Verdict::Ok),
        (49151, Verdict::Idle),
        (49152, Verdict::Ok),
        (57000, Verdict::Ok),
        (65535, Verdict::Ok),
    ] {
        let mut bench = bench(config);
        let push = flow(Side::Server, "10.1.1.1", port);
        bench.accept(push);
        assert_eq!(bench.verdict("push-install").0, expected, "{port}");
    }
}

#[test]
fn peer_that_uses_the_documented_port_although_the_config_has_another_is_unexpected() {
    let mut bench = bench(
        "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"ms-sql-server\", \"host\"]\n\
         peers.cluster = [\"10.20.0.0/24\"]\n[system.ports]\n\"agent-50051\" = 50061\n\
         [[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n",
    );
    for peer in ["10.20.0.7", "10.99.0.7"] {
        bench.receive(flow(Side::Server, peer, 50051), syn);
        bench.transmit(flow(Side::Server, peer, 50051), rst);
    }
    let unexpected = bench.assess().unexpected;
    let said: Vec<_> = unexpected
        .iter()
        .map(|stranger| (stranger.cause, stranger.flow.peer.to_string(), &*stranger.nearest.flow))
        .collect();
    // Who is no peer has no flow that could have moved.
    assert_eq!(said, [(Cause::PortMoved, "10.20.0.7".to_owned(), "agent-50051")]);
    assert_eq!(bench.verdict("agent-50051"), (Verdict::Idle, None));
}
