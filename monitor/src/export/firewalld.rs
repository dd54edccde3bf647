//! Policies for firewalld.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Plan, Rule, comment, names, set_name};
use crate::observe::transport_name;

/// The longest name of an ipset in the kernel, in characters.
const LONGEST: usize = 31;

const HEAD: &str = "\
#!/bin/sh
# What the backup roles of this host need, by `backupflow catalog export`, as firewalld's permanent
# configuration: two policies, and an ipset for each name among the peers. firewalld 1.0 or newer.
#     sh THIS_FILE && firewall-cmd --check-config && firewall-cmd --reload
# Export it again when the config changes: this replaces the policies and keeps the ipsets.
#
# backupflow-in lets through what zones would stop. firewalld lets everything out by itself:
# backupflow-out matters where another policy, of a higher priority number, drops what leaves.
# firewalld never filters loopback, so flows within the host have no rule.
#
";

/// A shell script that writes the files of firewalld's permanent configuration.
pub fn firewalld(plan: &Plan) -> String {
    let mut text = String::from(HEAD);
    for not_opened in &plan.not_opened {
        _ = writeln!(text, "# Not opened: {}: {not_opened}.", not_opened.expectation.key);
    }
    text.push_str(
        "\nset -eu\netc=${1:-/etc/firewalld}\nmkdir -p \"$etc/policies\" \"$etc/ipsets\"\n",
    );
    for peer in plan.names() {
        for Family { prefix, of_set, .. } in FAMILIES {
            let name = set_name(prefix, peer, LONGEST);
            let file = format!("\"$etc/ipsets/{name}.xml\"");
            _ = write!(
                text,
                "\n# firewall-cmd --permanent --ipset={name} --add-entry=ADDRESS\n\
                 [ -e {file} ] || cat > {file} <<'XML'\n\
                 <?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
                 <ipset type=\"hash:net\">\n\
                 \x20 <short>{peer}</short>\n\
                 \x20 <option name=\"family\" value=\"{of_set}\"/>\n\
                 </ipset>\n\
                 XML\n",
            );
        }
    }
    policy(&mut text, plan, true);
    policy(&mut text, plan, false);
    text
}

/// A family of addresses.
struct Family {
    /// What the names of its ipsets begin with.
    prefix: &'static str,
    of_set: &'static str,
    of_rule: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family { prefix: "bf4-", of_set: "inet", of_rule: "ipv4" },
    Family { prefix: "bf6-", of_set: "inet6", of_rule: "ipv6" },
];

fn policy(text: &mut String, plan: &Plan, inbound: bool) {
    let (name, ingress, egress) =
        if inbound { ("backupflow-in", "ANY", "HOST") } else { ("backupflow-out", "HOST", "ANY") };
    _ = write!(
        text,
        "\ncat > \"$etc/policies/{name}.xml\" <<'XML'\n\
         <?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <policy target=\"CONTINUE\">\n\
         \x20 <short>{name}</short>\n\
         \x20 <ingress-zone name=\"{ingress}\"/>\n\
         \x20 <egress-zone name=\"{egress}\"/>\n",
    );
    let mut written = BTreeSet::new();
    for rule in &plan.rules {
        if rule.is_inbound() == inbound && !rule.expectation.same_host {
            // Two dashes end a comment of XML.
            let comment = comment(&rule.expectation).replace("--", "- -");
            let open = if rule.is_open() { ": anyone, the config names no peers" } else { "" };
            _ = writeln!(text, "  <!-- {comment}{open} -->");
            for peers in peers(rule, inbound) {
                for port in ports(rule) {
                    let line = format!("  <rule{peers}{port}<accept/></rule>\n");
                    // firewalld warns of a rule that another flow needs as well.
                    if written.insert(line.clone()) {
                        text.push_str(&line);
                    }
                }
            }
        }
    }
    text.push_str("</policy>\nXML\n");
}

/// The peers' part of each rule.
fn peers(rule: &Rule, inbound: bool) -> Vec<String> {
    if rule.is_open() {
        return vec![">".to_owned()];
    }
    let end = if inbound { "source" } else { "destination" };
    let mut all: Vec<String> = rule
        .networks()
        .iter()
        .map(|network| {
            let family = if network.addr().is_ipv4() { "ipv4" } else { "ipv6" };
            format!(" family=\"{family}\"><{end} address=\"{network}\"/>")
        })
        .collect();
    let names: BTreeSet<_> = names(&rule.expectation).collect();
    for peer in names {
        for Family { prefix, of_rule, .. } in FAMILIES {
            let set = set_name(prefix, peer, LONGEST);
            all.push(format!(" family=\"{of_rule}\"><{end} ipset=\"{set}\"/>"));
        }
    }
    all
}

fn ports(rule: &Rule) -> Vec<String> {
    let transports = rule.expectation.transports.iter().copied();
    transports
        .flat_map(|transport| {
            let protocol = transport_name(transport);
            rule.ports
                .iter()
                .map(move |ports| format!("<port port=\"{ports}\" protocol=\"{protocol}\"/>"))
        })
        .collect()
}
