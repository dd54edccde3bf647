//! Each rule against a product that breaks it and nothing else.

use super::all;
use crate::Product;

const GOOD: &str = r#"
id = "p"
name = "P"
[[document]]
id = "d-1.0"
title = "D"
vendor = "V"
edition = "1"
date = "2025-09-30"
language = "en"
sections = ["s", "empty"]
no-entry = { empty = "It lists no port." }
[[scenario]]
id = "x"
name = "X"
[[role]]
id = "a"
name = "A"
[[flow]]
id = "f-1"
from = ["a"]
to = ["a"]
transport = ["tcp"]
ports = [1]
requirement = "required"
scenarios = ["x"]
purpose = "p"
endpoints = [{ name = "h.example.com", addresses = ["10.0.0.1"] }]
source = [{ document = "d-1.0", section = "s" }]
"#;

fn findings(texts: &[&str]) -> String {
    let products: Vec<Product> = texts.iter().map(|text| toml::from_str(text).unwrap()).collect();
    let lines: Vec<String> = all(&products).iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// The findings in the good product with a text in it replaced, all places of it.
#[track_caller]
fn expect(from: &str, to: &str, expected: &str) {
    let broken = GOOD.replace(from, to);
    assert_ne!(broken, GOOD, "{from} is not in it");
    assert_eq!(findings(&[&broken]), expected, "{from} -> {to}");
}

/// The findings in the good product with some keys added to its flow.
#[track_caller]
fn expect_with(keys: &str, expected: &str) {
    expect("purpose = \"p\"", &format!("purpose = \"p\"\n{keys}"), expected);
}

#[test]
fn good_product_has_no_finding() {
    assert_eq!(findings(&[GOOD]), "");
}

#[test]
fn unknown_keys_are_refused() {
    for place in ["name = \"P\"", "language = \"en\"", "purpose = \"p\"", "name = \"A\""] {
        let broken = GOOD.replacen(place, &format!("{place}\nextra = 1"), 1);
        let error = toml::from_str::<Product>(&broken).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("unknown field `extra`")), "{place}");
    }
}

#[test]
fn ids_are_unique_and_well_formed() {
    assert_eq!(
        findings(&[GOOD, GOOD]),
        "p: document d-1.0 stands twice; p: product p stands twice"
    );
    let twice = "p: role a stands twice";
    expect("[[role]]", "[[role]]\nid = \"a\"\nname = \"B\"\n[[role]]", twice);
    expect("id = \"f-1\"", "id = \"F_1\"", "p: flow F_1 is not in lower case with dashes");
    expect("id = \"f-1\"", "id = \"f--1\"", "p: flow f--1 is not in lower case with dashes");
    expect("id = \"p\"", "id = \"P\"", "P: product P is not in lower case with dashes");
}

#[test]
fn everything_defined_is_described_and_used() {
    expect("name = \"A\"", "name = \" \"", "p: role a is not described");
    expect("purpose = \"p\"", "purpose = \"\"", "p: flow f-1 is not described");
    expect("vendor = \"V\"", "vendor = \"\"", "p: document d-1.0 is not described");
    let no_date = "p: document d-1.0 has the date 2025-13-30, which does not exist";
    expect("2025-09-30", "2025-13-30", no_date);
    let unused = "p: role b takes part in no flow";
    expect("[[role]]", "[[role]]\nid = \"b\"\nname = \"B\"\n[[role]]", unused);
    let idle = "p: scenario x makes no difference to any flow";
    expect("scenarios = [\"x\"]", "scenarios = []", idle);
}

#[test]
fn sections_have_a_flow_or_a_reason() {
    let bare = "p: section empty of d-1.0 has no flow and no reason for that";
    expect("no-entry = { empty = \"It lists no port.\" }", "", bare);
    let vain = "p: section empty of d-1.0 has an empty reason";
    expect("It lists no port.", "", vain);
    let both = "p: section s of d-1.0 has flows and a reason for none";
    expect("{ empty = \"", "{ s = \"x\", empty = \"", both);
    let unknown = "p: document d-1.0 has no section other";
    expect("{ empty = \"", "{ other = \"x\", empty = \"", unknown);
    expect("\"s\", \"empty\"", "\"s\", \"s\", \"empty\"", "p: section s of d-1.0 stands twice");
    let form = "p: section S of d-1.0 has blanks or upper case";
    expect("\"s\"", "\"S\"", form);
}

#[test]
fn references_are_defined() {
    expect("from = [\"a\"]", "from = [\"b\"]", "p: f-1: role b is not defined");
    let scenario = "p: f-1: scenario y is not defined";
    expect("scenarios = [\"x\"]", "scenarios = [\"x\", \"y\"]", scenario);
    let document = "p: section s of d-1.0 has no flow and no reason for that; \
                    p: f-1: document e is not defined";
    expect("document = \"d-1.0\"", "document = \"e\"", document);
    let section = "p: section s of d-1.0 has no flow and no reason for that; \
                   p: f-1: document d-1.0 has no section t";
    expect("section = \"s\"", "section = \"t\"", section);
    for flow in ["f-1", "f-2"] {
        expect_with(
            &format!("replaces = {{ flow = \"{flow}\", option = \"o\" }}"),
            &format!(
                "p: f-1: it replaces {flow}, which is no other flow; p: f-1: option o is not defined"
            ),
        );
    }
    let alone = "p: f-1: it is the only one of the alternatives g";
    expect_with("alternatives = \"g\"", alone);
    let stranger = "p: f-1: role b takes no part in it";
    expect_with("addressed-by = [{ role = \"b\", kinds = [\"node\"] }]", stranger);
    expect("{ name", "{ role = \"b\", name", stranger);
    let section = "p: f-1: h.example.com is of section empty, no source of it";
    expect("{ name", "{ section = \"empty\", name", section);
    let scenario = "p: f-1: h.example.com is of scenario y, none of its";
    expect("{ name", "{ scenarios = [\"y\"], name", scenario);
}

#[test]
fn roles_options_and_sections_refer_to_others_that_exist() {
    for other in ["a", "b"] {
        let includes = format!("p: role a includes {other}, which is no other role");
        let role = format!("name = \"A\"\nincludes = [\"{other}\"]");
        expect("name = \"A\"", &role, &includes);
    }
    for other in ["a", "b"] {
        let same = format!("p: role a is the same as {other}, which is no other role");
        let role = format!("name = \"A\"\nsame-as = \"{other}\"");
        expect("name = \"A\"", &role, &same);
    }
    let option = "p: option o makes no difference to any flow";
    expect("[[role]]", "[[option]]\nid = \"o\"\nname = \"O\"\n[[role]]", option);
    let no_entry = "no-entry = { empty = \"It lists no port.\" }";
    let good = format!("{no_entry}\nrefers = {{ empty = [\"s\"] }}");
    expect(no_entry, &good, "");
    expect(no_entry, &good.replace("[\"s\"]", "[\"t\"]"), "p: document d-1.0 has no section t");
    let silent = "p: section s of d-1.0 refers to others, but not why";
    expect(no_entry, &good.replace("refers = { empty", "refers = { s"), silent);
}

#[test]
fn sources_speak_of_the_flow_and_of_all_of_it() {
    let source = "section = \"s\" }";
    expect(
        source,
        "section = \"s\", ports = [2] }",
        "p: f-1: a source has 2 in ports, the flow has not; p: f-1: no source has 1 in ports",
    );
    expect("ports = [1]", "ports = [1, 2]", "");
    let two = GOOD
        .replace("ports = [1]", "ports = [1, 2]")
        .replace(source, "section = \"s\", ports = [1] }");
    assert_eq!(findings(&[&two]), "p: f-1: no source has 2 in ports");
    expect(
        "source = [{",
        "source = [{ document = \"d-1.0\", section = \"s\" }, {",
        "p: f-1: source has something twice",
    );
}

#[test]
fn lists_are_neither_empty_nor_repeated() {
    expect("from = [\"a\"]", "from = []", "p: f-1: from is empty");
    expect("transport = [\"tcp\"]", "transport = []", "p: f-1: transport is empty");
    expect("ports = [1]", "ports = []", "p: f-1: ports is empty");
    let source = "p: section s of d-1.0 has no flow and no reason for that; \
                  p: f-1: source is empty";
    expect("source = [{ document = \"d-1.0\", section = \"s\" }]", "source = []", source);
    let repeated = "p: f-1: from has something twice";
    expect("from = [\"a\"]", "from = [\"a\", \"a\"]", repeated);
    let kinds = "p: f-1: the kinds of address of a are empty or stand twice";
    expect_with("addressed-by = [{ role = \"a\", kinds = [] }]", kinds);
}

#[test]
fn ports_are_valid_and_stand_once() {
    expect("ports = [1]", "ports = [0]", "p: f-1: 0 is no port");
    expect("ports = [1]", "ports = [\"9-2\"]", "p: f-1: 9-2 is no port");
    expect("ports = [1]", "ports = [\"2-9\", 9]", "p: f-1: 9 stands there already");
    expect("ports = [1]", "ports = [\"2-9\", 10, \"dynamic\"]", "");
    let several = "p: f-1: its port is changeable, but it is not just one";
    expect("ports = [1]", "ports = [1, 2]\nchangeable = { setting = \"x\" }", several);
    expect_with("changeable = { setting = \"x\" }", "");
}

#[test]
fn requirement_fits_the_rest() {
    let condition = "p: f-1: it is conditional, on nothing";
    expect("\"required\"", "\"conditional\"", condition);
    expect_with("condition = \"x\"", "p: f-1: it is required, on a condition");
    let part = "p: f-1: it is required, though only a part fails without it";
    expect_with("without = \"x\"", part);
    let legacy = "p: f-1: it is legacy, so it neither carries backups nor replaces a flow";
    expect("\"required\"", "\"legacy\"\nbackup-data = true", legacy);
    expect_with("daily = true", "p: f-1: it is daily, but carries no backups");
    let not = "p: f-1: it carries backups, but is not required";
    expect("\"required\"", "\"not-required\"\nbackup-data = true", not);
}

#[test]
fn texts_that_are_given_are_not_empty() {
    for (keys, name) in [("since = \"\"", "since"), ("changeable = { setting = \" \" }", "setting")]
    {
        let expected = format!("p: f-1: {name} is empty or has control characters");
        expect_with(keys, &expected);
    }
    let tab = "p: f-1: traffic is empty or has control characters";
    expect("section = \"s\" }", "section = \"s\", traffic = \"a\\tb\" }", tab);
    let doubt = "p: f-1: s needs both doubt and reading, or neither";
    expect("section = \"s\" }", "section = \"s\", doubt = \"x\" }", doubt);
    expect("section = \"s\" }", "section = \"s\", reading = \"x\" }", doubt);
}

#[test]
fn flow_within_a_host_has_one_role() {
    expect_with("same-host = true", "");
    let roles = "p: f-1: it stays on the host, but between different roles";
    let two = GOOD
        .replace("[[role]]", "[[role]]\nid = \"b\"\nname = \"B\"\n[[role]]")
        .replace("to = [\"a\"]", "to = [\"b\"]\nsame-host = true");
    assert_eq!(findings(&[&two]), roles);
    let inspected = "p: f-1: it is not to be inspected, but passes no firewall";
    expect_with("no-tls-inspection = true\nfirewall = false", inspected);
}

#[test]
fn only_datagrams_need_no_answer() {
    let found = "p: f-1: it needs no answer, but a transport does";
    for keys in ["one-way = true", "multicast = true"] {
        expect_with(keys, found);
        let with = |transport| {
            GOOD.replace("transport = [\"tcp\"]", &format!("transport = [{transport}]\n{keys}"))
        };
        assert_eq!(findings(&[&with("\"udp\"")]), "");
        assert_eq!(findings(&[&with("\"tcp\", \"udp\"")]), found);
    }
    let both = GOOD.replace("[\"tcp\"]", "[\"udp\"]\none-way = true\nmulticast = true");
    assert_eq!(findings(&[&both]), "p: f-1: it is multicast, which is one-way already");
}

#[test]
fn endpoints_are_names_or_networks_and_stand_once() {
    let endpoint = "{ name = \"h.example.com\", addresses = [\"10.0.0.1\"] }";
    for (to, expected) in [
        ("{}", "p: f-1: an endpoint has neither a name nor just one network"),
        (
            "{ addresses = [\"10.0.0.1\", \"10.0.0.2\"] }",
            "p: f-1: an endpoint has neither a name nor just one network",
        ),
        ("{ name = \"*.example.com\" }", ""),
        ("{ name = \"*example.com\" }", "p: f-1: *example.com is no host name"),
        ("{ name = \"https://example.com\" }", "p: f-1: https://example.com is no host name"),
        ("{ name = \"host\" }", "p: f-1: host is no host name"),
        (
            "{ name = \"a.example\", minimum = true }",
            "p: f-1: a.example is no network, so no minimum",
        ),
        ("{ addresses = [\"10.0.0.0/8\"], minimum = true }", ""),
        (
            "{ name = \"a.example\" }, { name = \"a.example\" }",
            "p: f-1: endpoint a.example stands twice",
        ),
    ] {
        expect(endpoint, to, expected);
    }
    let nameless = format!("purpose = \"p\"\nby-name = true\n{endpoint}");
    let nameless = nameless.replace(endpoint, "endpoints = [{ addresses = [\"10.0.0.1\"] }]");
    let good =
        "purpose = \"p\"\nendpoints = [{ name = \"h.example.com\", addresses = [\"10.0.0.1\"] }]";
    expect(good, &nameless, "p: f-1: 10.0.0.1 has no name, by which it is to be addressed");
}

#[test]
fn two_flows_do_not_say_the_same() {
    let flow = GOOD.split_once("[[flow]]").unwrap().1.replace("f-1", "f-2");
    let expected = "p: f-2: s of d-1.0 says what f-1 says";
    assert_eq!(findings(&[&format!("{GOOD}[[flow]]{flow}")]), expected);
    let other_port = flow.replace("ports = [1]", "ports = [2]");
    assert_eq!(findings(&[&format!("{GOOD}[[flow]]{other_port}")]), "");
}

#[test]
fn two_sections_may_name_the_same_endpoint() {
    let two = GOOD
        .replace("no-entry = { empty = \"It lists no port.\" }", "")
        .replace("section = \"s\" }", "section = \"s\" }, { document = \"d-1.0\", section = \"empty\" }")
        .replace(
            "[{ name = \"h.example.com\", addresses = [\"10.0.0.1\"] }]",
            "[{ name = \"h.example.com\", section = \"s\" }, { name = \"h.example.com\", section = \"empty\" }]",
        );
    assert_eq!(findings(&[&two]), "");
}
