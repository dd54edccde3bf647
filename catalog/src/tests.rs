//! The data that is built in.

use super::*;

fn lines_of(document: &str) -> Vec<String> {
    let facts = bundled().facts();
    facts.iter().filter(|fact| fact.document == document).map(ToString::to_string).collect()
}

fn flow(product: &str, flow: &str) -> &'static Flow {
    bundled().product(product).and_then(|product| product.flow(flow)).unwrap()
}

#[test]
fn every_file_is_named_by_its_id_and_has_no_finding() {
    let ids: Vec<&str> = bundled().products.iter().map(|product| product.id.as_str()).collect();
    let files: Vec<&str> = FILES.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, files);
    let findings: Vec<String> = bundled().lint().iter().map(ToString::to_string).collect();
    assert_eq!(findings, [""; 0]);
}

#[test]
fn facts_are_sorted_and_stand_once() {
    let facts = bundled().facts();
    assert!(facts.is_sorted_by(|one, next| one < next));
    for fact in &facts {
        let columns = fact.to_string().split('\t').count();
        assert_eq!(columns, Fact::HEADER.split('\t').count(), "{fact}");
    }
}

#[test]
fn both_editions_of_ibm_cloud_backup_say_the_same() {
    let (chinese, korean) = ("ibm-cloud-backup-zh-2019", "ibm-cloud-backup-ko-2018");
    let translated: Vec<String> =
        lines_of(korean).iter().map(|line| line.replace(korean, chinese)).collect();
    assert_eq!(lines_of(chinese), translated);
    let lines =
        lines_of(chinese).join("\n").replace("ibm-cloud-backup\tibm-cloud-backup-zh-2019\t", "");
    for line in [
        "commercial\tagent\tamp-proxy\ttcp\t8087\t8087\tcommercial\trequired\t-\tevwebamp0908.service.softlayer.com",
        "federal\tagent\tportal\ttcp\t8086\t8086\tfederal\trequired\t-\twebcc.service.usgov.softlayer.com",
        "portinfo\tagent\tportal\ttcp\t8087\t8087\t-\trequired\t-\t10.0.0.0/8",
        "portinfo\tcentral-control\tagent\ttcp\t2548\t2548\t-\trequired\t-\t-",
        "portinfo\tportal\tagent\ttcp\t808\t808\t-\tlegacy\t-\t-",
    ] {
        assert!(lines.lines().any(|found| found == line), "{line}\nis not in\n{lines}");
    }
}

#[test]
fn amp_proxies_are_eight_machines_with_an_address_each() {
    let proxies = flow("ibm-cloud-backup", "amp-8087");
    assert!(proxies.every_member && proxies.by_name);
    let machines: Vec<String> = proxies
        .endpoints
        .iter()
        .map(|endpoint| {
            let addresses: Vec<String> =
                endpoint.addresses.iter().map(Network::to_string).collect();
            format!("{} {}", endpoint.label(), addresses.join(","))
        })
        .collect();
    let expected = (1..=8)
        .map(|n| format!("evwebamp090{n}.service.softlayer.com 10.2.118.{}", n + 11))
        .collect::<Vec<_>>();
    assert_eq!(machines, expected);
}

#[test]
fn ports_of_gigavault_storage_are_as_documented() {
    let product = bundled().product("gigavault-storage").unwrap();
    let table: Vec<String> = product
        .flows
        .iter()
        .map(|flow| {
            let ports: Vec<String> = flow.ports.iter().map(ToString::to_string).collect();
            let transports: Vec<String> = flow.transport.iter().map(ToString::to_string).collect();
            let changeable = if flow.changeable.is_some() { "changeable" } else { "fixed" };
            let rule = if flow.firewall { "rule" } else { "no rule" };
            let (ports, transports) = (ports.join(","), transports.join(","));
            format!("{} {ports}/{transports} {} {changeable} {rule}", flow.id, flow.requirement)
        })
        .collect();
    for documented in [
        "backup-32004 32004/tcp required changeable rule",
        "backup-ssl-32007 32007/tcp conditional changeable rule",
        "mapi-32008 32008/tcp conditional changeable rule",
        "console-32005 32005/tcp optional changeable rule",
        "discovery-32005 32005/tcp optional changeable rule",
        "web-6060 6060/tcp conditional changeable rule",
        "web-6061 6061/tcp conditional changeable rule",
        "multicast-6363 6363/udp not-required fixed no rule",
        "multicast-6364 6364/udp not-required fixed no rule",
        "scan-32006 32006/udp not-required fixed no rule",
    ] {
        assert!(table.iter().any(|line| line == documented), "{documented}: {table:#?}");
    }
    let ssl = flow("gigavault-storage", "backup-ssl-32007");
    assert!(ssl.replaces.as_ref().is_some_and(|replaces| replaces.flow == "backup-32004"));
    assert!(ssl.changeable.as_ref().is_some_and(|changeable| changeable.same_at_both_ends));
    assert!(flow("gigavault-storage", "mapi-32008").same_host);
}

#[test]
fn sections_are_listed_once_for_both_editions() {
    let product = bundled().product("ibm-cloud-backup").unwrap();
    assert_eq!(product.sections().collect::<Vec<_>>(), ["commercial", "federal", "portinfo"]);
}

#[test]
fn format_carries_what_other_documents_need() {
    let text = r#"
        id = "smtp-25"
        from = ["cluster"]
        to = ["mail"]
        transport = ["tcp", "udp"]
        ports = ["49152-65535", "dynamic"]
        application = "nfs"
        requirement = "conditional"
        condition = "Mail is sent."
        alternatives = "smtp"
        every-member = true
        both-ways = true
        moment = "push-install"
        since = "6.8.1_u3"
        no-tls-inspection = true
        addressed-by = [{ role = "cluster", kinds = ["virtual", "vlan"] }]
        purpose = "Alerts are mailed."
        endpoints = [{ name = "*.blob.core.windows.net", role = "mail" }]
        [[source]]
        document = "d"
        section = "smtp"
        direction = "outgoing"
        doubt = "Another section gives the opposite direction."
        reading = "The cluster connects."
    "#;
    let flow: Flow = toml::from_str(text).unwrap();
    assert_eq!(flow.ports, [Ports::Range { first: 49152, last: 65535 }, Ports::Dynamic]);
    assert_eq!(flow.alternatives.as_deref(), Some("smtp"));
    assert_eq!(flow.moment, Some(Moment::PushInstall));
    assert_eq!(flow.application, Some(Application::Nfs));
    assert_eq!(flow.since.as_deref(), Some("6.8.1_u3"));
    assert!(flow.every_member && flow.both_ways && flow.no_tls_inspection && flow.firewall);
    let kinds: Vec<AddressKind> =
        flow.addressed_by.iter().flat_map(|by| by.kinds.clone()).collect();
    assert_eq!(kinds, [AddressKind::Virtual, AddressKind::Vlan]);
    let source = flow.sources.first().unwrap();
    assert_eq!(source.direction, Some(Heading::Outgoing));
    assert_eq!(source.reading.as_deref(), Some("The cluster connects."));
}

#[test]
fn catalog_survives_toml() {
    for product in &bundled().products {
        let text = toml::to_string_pretty(product).unwrap();
        let again: Product = toml::from_str(&text).unwrap();
        assert_eq!(again, *product, "{}", product.id);
    }
}

#[test]
fn another_name_of_a_role_is_the_role() {
    let dlo = bundled().product("arctera-dlo").unwrap();
    let of = |role: &str| dlo.with_included(&[role.to_owned()]);
    assert_eq!(of("dlo-administrator-console"), of("dlo-administration-console"));
}
