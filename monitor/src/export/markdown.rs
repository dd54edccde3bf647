//! The rules as a request to those who keep the firewall.

use std::fmt::Write as _;

use super::{Plan, Rule};
use crate::observe::transport_name;

/// Two tables: what to open, and what is not opened and why.
pub fn markdown(plan: &Plan) -> String {
    let mut text = String::from(
        "# Firewall rules for the backups of this host\n\n\
         Each rule lets connections to the port through, and the replies to them.\n\n\
         | direction | peer | transport/port | purpose | requirement | product/flow | document section |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for rule in &plan.rules {
        let key = &rule.expectation.key;
        row(
            &mut text,
            &[
                if rule.expectation.same_host {
                    "loopback"
                } else if rule.is_inbound() {
                    "in"
                } else {
                    "out"
                },
                &peers(rule),
                &ports(rule),
                &rule.expectation.purpose,
                &rule.expectation.requirement.to_string(),
                &format!("{}/{}", key.product, key.flow),
                &sections(rule),
            ],
        );
    }
    if !plan.not_opened.is_empty() {
        text.push_str("\n## Not opened\n\n| product/flow | what | why |\n|---|---|---|\n");
        for not_opened in &plan.not_opened {
            let key = &not_opened.expectation.key;
            let flow = format!("{}/{}", key.product, key.flow);
            row(&mut text, &[&flow, &key.to_string(), &not_opened.to_string()]);
        }
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn peers(rule: &Rule) -> String {
    let group = &rule.expectation.key.peer_group;
    if rule.expectation.same_host {
        return "this host".to_owned();
    }
    if rule.is_open() {
        return format!("anyone: the config names no {group}");
    }
    let peers: Vec<String> = rule.listed().iter().map(ToString::to_string).collect();
    format!("{group}: {}", peers.join(", "))
}

fn ports(rule: &Rule) -> String {
    let ports: Vec<String> = rule.ports.iter().map(ToString::to_string).collect();
    let of = |transport| format!("{}/{}", transport_name(transport), ports.join(","));
    let transports: Vec<String> = rule.expectation.transports.iter().copied().map(of).collect();
    transports.join(" ")
}

fn sections(rule: &Rule) -> String {
    let sections: Vec<String> =
        rule.sections.iter().map(|(document, section)| format!("{document}: {section}")).collect();
    sections.join(", ")
}
