//! The exact texts.

use super::*;
use crate::config;

/// A range, several ports, two transports, names of both kinds, an open group and a port without a
/// number.
const CLIENT: &str = r#"
[[system]]
name = "laptops"
product = "arctera-dlo"
roles = ["dlo-client"]
scenario = "occasional-boi"
peers.dlo-administration-server = ["10.1.0.0/25", "10.1.0.128/25", "fd00:1::/64"]
peers.dlo-administration-console = ["10.1.0.7"]
peers.dlo-dedupe-server = ["dedupe.example.com"]
peers.storage-location = ["10.2.0.0/16", "10.2.3.0/24"]
peers.dedupe-storage-location = ["10.2.3.4"]
peers.sql-server = ["fd00:3::3"]
"#;

fn plan(text: &str) -> Plan {
    Plan::new(&config::parse("test.toml", text).unwrap())
}

/// The lines of a text that are neither comments nor blank.
fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn nftables_rules() {
    let text = nftables(&plan(CLIENT), Form::Chains { table: "filter" });
    assert_eq!(
        lines(&text),
        [
            "add table inet filter",
            "add chain inet filter backupflow_input",
            "add chain inet filter backupflow_output",
            "flush chain inet filter backupflow_input",
            "flush chain inet filter backupflow_output",
            "table inet filter {",
            "set peer4-dedupe.example.com {",
            "type ipv4_addr",
            "flags interval",
            "}",
            "set peer6-dedupe.example.com {",
            "type ipv6_addr",
            "flags interval",
            "}",
            "chain backupflow_input {",
            "ct state established,related accept comment \"replies, and errors about them\"",
            "ip saddr 10.1.0.7 tcp dport { 135, 441, 1037, 1125, 49152-65535 } accept comment \
             \"laptops: push-install (server of dlo-administration-console)\"",
            "ip saddr 10.1.0.0/24 tcp dport { 135, 441, 1037, 1125, 49152-65535 } accept comment \
             \"laptops: push-install (server of dlo-administration-server)\"",
            "ip6 saddr fd00:1::/64 tcp dport { 135, 441, 1037, 1125, 49152-65535 } accept comment \
             \"laptops: push-install (server of dlo-administration-server)\"",
            "}",
            "chain backupflow_output {",
            "ct state established,related accept comment \"replies, and errors about them\"",
            "ip daddr 10.2.3.4 meta l4proto { tcp, udp } th dport 135-139 accept comment \
             \"laptops: client-files-135 (client of dedupe-storage-location)\"",
            "ip daddr 10.2.0.0/16 meta l4proto { tcp, udp } th dport 135-139 accept comment \
             \"laptops: client-files-135 (client of storage-location)\"",
            "ip daddr 10.2.3.4 meta l4proto { tcp, udp } th dport 445 accept comment \
             \"laptops: client-files-445 (client of dedupe-storage-location)\"",
            "ip daddr 10.2.0.0/16 meta l4proto { tcp, udp } th dport 445 accept comment \
             \"laptops: client-files-445 (client of storage-location)\"",
            "ip6 daddr fd00:3::3 tcp dport 1433 accept comment \
             \"laptops: client-sql-1433 (client of sql-server)\"",
            "ip6 daddr fd00:3::3 udp dport 1434 accept comment \
             \"laptops: client-sql-browser-1434 (client of sql-server)\"",
            "ip daddr @peer4-dedupe.example.com tcp dport 8080 accept comment \
             \"laptops: dedupe-8080 (client of dlo-dedupe-server)\"",
            "ip6 daddr @peer6-dedupe.example.com tcp dport 8080 accept comment \
             \"laptops: dedupe-8080 (client of dlo-dedupe-server)\"",
            "ip daddr @peer4-dedupe.example.com tcp dport 8443 accept comment \
             \"laptops: dedupe-8443 (client of dlo-dedupe-server)\"",
            "ip6 daddr @peer6-dedupe.example.com tcp dport 8443 accept comment \
             \"laptops: dedupe-8443 (client of dlo-dedupe-server)\"",
            "tcp dport 443 accept comment \"laptops: edge-443 (client of dlo-edge-server)\"",
            "}",
            "}",
        ]
    );
    let open = "\t\t# Anyone: the config names no peers.dlo-edge-server.\n\t\ttcp dport 443 accept";
    assert!(text.contains(open), "{text}");
    let no_number = "\n# Not opened: laptops: client-sql-dynamic (client of sql-server): the document \
                     gives no number: set `ports.client-sql-dynamic = N` in the config.\n";
    assert!(text.contains(no_number), "{text}");
}

#[test]
fn number_in_the_config_opens_a_port_without_one() {
    let text = format!("{CLIENT}ports.client-sql-dynamic = 50123\n");
    let text = nftables(&plan(&text), Form::Standalone);
    assert!(text.contains("ip6 daddr fd00:3::3 tcp dport 50123 accept"), "{text}");
    assert!(!text.contains("no number"), "{text}");
}

/// TLS on, so that a flow is replaced; some that need no rule.
const SERVER: &str = r#"
[[system]]
product = "gigavault-storage"
roles = ["server"]
options = ["ssl"]
sections = ["tcp_port_32004", "tcp_ssl_port_32007", "udp_port_32006"]
peers.client = ["10.20.0.0/24", "br.example.com"]
"#;

#[test]
fn json_rules_and_reasons() {
    let json = serde_json::to_value(json(&plan(SERVER))).unwrap();
    let section = serde_json::json!(
        {"document": "gigavault-storage-nat-firewall", "section": "tcp_ssl_port_32007"}
    );
    assert_eq!(json["schema"], 1);
    assert_eq!(
        json["rules"],
        serde_json::json!([{
            "system": "gigavault-storage",
            "product": "gigavault-storage",
            "flow": "backup-ssl-32007",
            "direction": "in",
            "peer_group": "client",
            "transports": ["tcp"],
            "ports": [32007],
            "peers": ["10.20.0.0/24", "br.example.com"],
            "open": false,
            "same_host": false,
            "purpose": "What 32004 carries, encrypted.",
            "requirement": "required",
            "documents": [section],
        }])
    );
    let reasons: Vec<(&str, &str, &str)> = json["not_opened"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| {
            let text = |key: &str| left[key].as_str().unwrap();
            (text("flow"), text("peer_group"), text("reason"))
        })
        .collect();
    assert_eq!(
        reasons,
        [
            ("backup-32004", "client", "replaced"),
            ("backup-ssl-32007", "client", "names"),
            ("scan-32006", "client", "no-rule-needed"),
            ("scan-32006", "server", "no-rule-needed"),
            ("scan-32006", "client", "no-rule-needed"),
            ("scan-32006", "server", "no-rule-needed"),
        ]
    );
}

#[test]
fn markdown_tables() {
    let text = markdown(&plan(SERVER));
    let row = "\n| in | client: 10.20.0.0/24, br.example.com | tcp/32007 | What 32004 carries, \
               encrypted. | required | gigavault-storage/backup-ssl-32007 | \
               gigavault-storage-nat-firewall: tcp_ssl_port_32007 |\n";
    assert!(text.contains(row), "{text}");
    let left = "\n| gigavault-storage/backup-ssl-32007 | gigavault-storage: backup-ssl-32007 (server \
                of client) | the rule waits for the addresses of br.example.com |\n";
    assert!(text.contains(left), "{text}");
}

#[test]
fn firewalld_rules() {
    let text = firewalld(&plan(SERVER));
    let (_, policy) = text.split_once("policies/backupflow-in.xml\" <<'XML'\n").unwrap();
    let (policy, _) = policy.split_once("XML\n").unwrap();
    let port = "<port port=\"32007\" protocol=\"tcp\"/><accept/></rule>";
    assert_eq!(
        policy,
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <policy target=\"CONTINUE\">\n\
             \x20 <short>backupflow-in</short>\n\
             \x20 <ingress-zone name=\"ANY\"/>\n\
             \x20 <egress-zone name=\"HOST\"/>\n\
             \x20 <!-- gigavault-storage: backup-ssl-32007 (server of client) -->\n\
             \x20 <rule family=\"ipv4\"><source address=\"10.20.0.0/24\"/>{port}\n\
             \x20 <rule family=\"ipv4\"><source ipset=\"bf4-br.example.com\"/>{port}\n\
             \x20 <rule family=\"ipv6\"><source ipset=\"bf6-br.example.com\"/>{port}\n\
             </policy>\n"
        )
    );
}

#[test]
fn flow_within_the_host_is_opened_on_loopback() {
    let plan = plan(
        "[[system]]\nproduct = \"gigavault-storage\"\nroles = [\"client\"]\n\
         sections = [\"tcp_port_32008(windows_64-bit_os)\"]\n",
    );
    let text = nftables(&plan, Form::Chains { table: "filter" });
    let comment = "accept comment \"gigavault-storage: mapi-32008 (server of self)\"";
    assert!(text.contains(&format!("\t\tiif \"lo\" tcp dport 32008 {comment}\n")), "{text}");
    assert!(text.contains(&format!("\t\toif \"lo\" tcp dport 32008 {comment}\n")), "{text}");
    assert!(!firewalld(&plan).contains("<rule"));
    assert!(markdown(&plan).contains("| loopback | this host | tcp/32008 |"));
}

#[test]
fn overlapping_ranges_become_one() {
    let range = |first, last| Ports::Range { first, last };
    let ports =
        [range(135, 139), range(136, 137), range(139, 140), range(141, 141), Ports::Dynamic];
    assert_eq!(merged(&ports.into()), [range(135, 140), range(141, 141)].into());
}

#[test]
fn names_of_sets_are_short_and_distinct() {
    let name = |text: &str| set_name("bf4-", &Peer::Name(text.to_owned()), 31);
    assert_eq!(name("br.example.com"), "bf4-br.example.com");
    let [a, b] = ["a", "b"].map(|end| name(&format!("machine.in.some.department.{end}")));
    assert_eq!([a.len(), b.len()], [31, 31]);
    assert_ne!(a, b);
    let below = Peer::Below("example.com".to_owned());
    assert_eq!(set_name("bf4-", &below, 31), "bf4-_.example.com");
}
