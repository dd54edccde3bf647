//! `[[system]]` against the catalog.

use jiff::SignedDuration;

use crate::config::Due;

use super::{FULL, accepted, faults, help, refused, with};

const DLO: &str = "[[system]]\nproduct = \"arctera-dlo\"\nroles = [\"dlo-client\"]\n";

#[test]
fn the_full_config_means_what_it_says() {
    let config = accepted(FULL);
    assert_eq!(config.systems.len(), 1);
    let system = &config.systems[0];
    assert_eq!(system.name, "sql-backups");
    assert_eq!(system.product.id, "ibm-backup-recovery");
    assert_eq!(system.roles, ["ms-sql-server", "host"]);
    assert_eq!(system.sections, ["ms_sql_servers", "agent_communication"]);
    assert_eq!(system.scenario, None);
    let peers: Vec<String> = system.peers["cluster"].iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["10.20.0.0/24", "fd00:20::/64", "10.1.1.1", "br.example.com"]);
    assert_eq!(system.ports["agent-50051"], 50061);
    assert_eq!(system.expect[0].flow, "agent-*");
    assert_eq!(system.expect[0].due, Due::Within(SignedDuration::from_hours(26)));
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:10151");
    assert_eq!(config.kernel.flows, 4096);
}

#[test]
fn a_system_is_named_after_its_product_unless_it_says_otherwise() {
    assert_eq!(accepted(&with("")).systems[0].name, "ibm-backup-recovery");
}

#[test]
fn at_least_one_system_is_required() {
    assert_eq!(faults(""), "system: no system is configured");
    assert_eq!(faults("system = []"), "1:10: system: no system is configured");
}

#[test]
fn product_and_roles_are_required() {
    let expected = "1:1: system[0].product: `product` is missing";
    assert_eq!(faults("[[system]]\nroles = [\"host\"]\n"), expected);
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\n";
    assert_eq!(faults(text), "1:1: system[0].roles: `roles` is missing");
}

#[test]
fn an_unknown_product_lists_the_known_ones() {
    let text = "[[system]]\nproduct = \"ibm-backup-recoverie\"\nroles = [\"host\"]\n";
    let expected = "2:11: system[0].product: unknown product `ibm-backup-recoverie`";
    assert_eq!(faults(text), expected);
    let help = help(text);
    let expected =
        "did you mean `ibm-backup-recovery`? known products: `arctera-dlo`, `gigavault-storage`, ";
    assert!(help.starts_with(expected), "{help}");
}

#[test]
fn without_a_product_the_rest_is_still_read() {
    let text = "[[system]]\nproduct = \"x\"\npeers.cluster = [\"10.0.0.300\"]\nports.a = 0\n\
                expect = [{flow = \"a\", within = \"soon\"}]\n";
    let expected = "2:11: system[0].product: unknown product `x`\n\
                    3:18: system[0].peers.cluster[0]: `10.0.0.300` is not an IPv4 address\n\
                    4:11: system[0].ports.a: 0 is no port, expected 1 to 65535\n\
                    5:33: system[0].expect[0].within: `soon` is not a duration";
    assert_eq!(faults(text), expected);
}

#[test]
fn roles_are_known_and_not_repeated() {
    let text =
        "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\", \"hots\", \"host\"]\n";
    let expected = "3:18: system[0].roles[1]: ibm-backup-recovery has no role `hots`\n\
                    3:26: system[0].roles[2]: role `host` stands here twice";
    assert_eq!(faults(text), expected);
    let refused = refused(text);
    let help = refused.faults[0].help.as_deref();
    assert!(help.unwrap().starts_with("did you mean `host`?"), "{help:?}");
}

#[test]
fn no_list_is_empty() {
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = []\nsections = []\npeers.cluster = []\n";
    let expected = "3:9: system[0].roles: the list is empty\n\
                    4:12: system[0].sections: the list is empty\n\
                    5:17: system[0].peers.cluster: the list is empty";
    assert_eq!(faults(text), expected);
}

#[test]
fn sections_are_known() {
    let text = with("sections = [\"agent_communication\", \"agent-comunication\"]");
    let expected =
        "4:36: system[0].sections[1]: ibm-backup-recovery has no section `agent-comunication`";
    assert_eq!(faults(&text), expected);
    assert!(help(&text).starts_with("did you mean `agent_communication`?"));
}

#[test]
fn a_scenario_is_required_where_the_product_has_some() {
    let expected = "1:1: system[0].scenario: `scenario` is missing, and arctera-dlo has several";
    assert_eq!(faults(DLO), expected);
    let text = format!("{DLO}scenario = \"no-boi\"\n");
    let expected = "4:12: system[0].scenario: arctera-dlo has no scenario `no-boi`";
    assert_eq!(faults(&text), expected);
    assert!(help(&text).starts_with("did you mean `non-boi`?"));
    let config = accepted(&format!("{DLO}scenario = \"non-boi\"\n"));
    assert_eq!(config.systems[0].scenario.as_deref(), Some("non-boi"));
}

#[test]
fn a_scenario_is_a_fault_where_the_product_has_none() {
    let text = with("scenario = \"non-boi\"");
    let expected = "4:12: system[0].scenario: ibm-backup-recovery has no scenarios";
    assert_eq!(faults(&text), expected);
}

#[test]
fn options_are_of_the_product() {
    let text = with("options = [\"ssl\"]");
    let expected = "4:12: system[0].options[0]: ibm-backup-recovery has no option `ssl`";
    assert_eq!(faults(&text), expected);
    assert_eq!(help(&text), "options of ibm-backup-recovery: `multitenancy`");
    assert_eq!(
        accepted(&with("options = [\"multitenancy\"]")).systems[0].options,
        ["multitenancy"]
    );
}

#[test]
fn port_without_a_number_can_be_given_one() {
    let system = "[[system]]\nproduct = \"arctera-dlo\"\nroles = [\"dlo-client\"]\n\
                  scenario = \"non-boi\"\n";
    let config = accepted(&format!("{system}ports.client-sql-dynamic = 50123\n"));
    assert_eq!(config.systems[0].ports["client-sql-dynamic"], 50123);
    let expected =
        "5:7: system[0].ports.push-install: flow `push-install` does not have just one port";
    assert_eq!(faults(&format!("{system}ports.push-install = 1\n")), expected);
}

#[test]
fn a_role_without_a_flow_in_the_sections_is_a_fault() {
    let text = with("sections = [\"ms_sql_servers\"]");
    let expected = "3:10: system[0].roles[0]: role `host` takes part in no flow of the chosen \
                    sections, scenario and options, so this system expects nothing of it";
    assert_eq!(faults(&text), expected);
    assert!(help(&text).contains("`agent_communication`"));
}

#[test]
fn a_role_without_a_flow_in_the_scenario_is_a_fault() {
    let text = "[[system]]\nproduct = \"arctera-dlo\"\nroles = [\"dlo-io-server\"]\nscenario = \"non-boi\"\n";
    let expected = "3:10: system[0].roles[0]: role `dlo-io-server` takes part in no flow of the chosen \
                    sections, scenario and options, so this system expects nothing of it";
    assert_eq!(faults(text), expected);
    accepted(&text.replace("non-boi", "exclusive-boi"));
}

#[test]
fn names_are_plain_and_unique() {
    for name in ["", "a b", "größe", &"n".repeat(65)] {
        let text = with(&format!("name = \"{name}\""));
        let expected = format!("4:8: system[0].name: `{name}` is not a system's name");
        assert_eq!(faults(&text), expected);
    }
    accepted(&with(&format!("name = \"{}\"", "aA0_.-".repeat(10))));
    let text = format!("{}{}", with("name = \"a\""), with("name = \"a\""));
    let expected = "8:8: system[1].name: the system on line 4 is named `a` too";
    assert_eq!(faults(&text), expected);
    let text = format!("{}{}", with(""), with(""));
    let expected = "5:1: system[1].name: the system on line 1 is named `ibm-backup-recovery` too";
    assert_eq!(faults(&text), expected);
    accepted(&format!("{}{}", with(""), with("name = \"second\"")));
}

#[test]
fn ports_are_of_known_flows_and_in_range() {
    let text = with("[system.ports]\nagent-50052 = 1\ngrpc-11117 = 65535\nagent-50051 = 65536");
    let expected = "5:1: system[0].ports.agent-50052: ibm-backup-recovery has no flow `agent-50052`\n\
                    7:15: system[0].ports.agent-50051: 65536 is no port, expected 1 to 65535";
    assert_eq!(faults(&text), expected);
    for port in ["0", "-1", "0x1_0000"] {
        let lines = faults(&with(&format!("ports.agent-50051 = {port}")));
        assert!(lines.starts_with("4:21: system[0].ports.agent-50051: "), "{lines}");
    }
    let text = with("ports.agent-50051 = 99999999999999999999");
    let expected = "4:21: system[0].ports.agent-50051: the integer does not fit into 64 bits";
    assert_eq!(faults(&text), expected);
    let config = accepted(&with("ports.agent-50051 = 0xC383"));
    assert_eq!(config.systems[0].ports["agent-50051"], 50051);
}

#[test]
fn expected_flows_exist_and_stand_once() {
    let text = with(
        "[[system.expect]]\nflow = \"agnt-*\"\nwithin = \"1h\"\n\
         [[system.expect]]\nflow = \"agent-*\"\nwithin = \"1h\"\n\
         [[system.expect]]\nflow = \"agent-*\"\n[[system.expect]]\nwithin = \"1h\"\n",
    );
    let expected = "5:8: system[0].expect[0].flow: `agnt-*` matches no flow of ibm-backup-recovery\n\
                    10:1: system[0].expect[2].within: `within` is missing\n\
                    11:8: system[0].expect[2].flow: `agent-*` is expected twice\n\
                    12:1: system[0].expect[3].flow: `flow` is missing";
    assert_eq!(faults(&text), expected);
}

#[test]
fn within_is_a_duration_of_more_than_nothing() {
    let expect =
        |within: &str| with(&format!("expect = [{{flow = \"*\", within = \"{within}\"}}]"));
    for (within, hours) in
        [("26h", 26), ("2d", 48), ("1w", 168), ("PT3H", 3), ("1 day 2 hours", 26)]
    {
        let config = accepted(&expect(within));
        assert_eq!(
            config.systems[0].expect[0].due,
            Due::Within(SignedDuration::from_hours(hours)),
            "{within}"
        );
    }
    assert_eq!(accepted(&expect("never")).systems[0].expect[0].due, Due::Never);
    for within in ["0s", "-1h", "1h ago"] {
        let expected =
            format!("4:33: system[0].expect[0].within: `{within}` is not more than zero");
        assert_eq!(faults(&expect(within)), expected);
    }
    for within in ["", "26", "soon", "1 month", "99999999999999h"] {
        let expected = format!("4:33: system[0].expect[0].within: `{within}` is not a duration");
        assert_eq!(faults(&expect(within)), expected);
    }
}
