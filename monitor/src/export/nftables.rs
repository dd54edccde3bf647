//! Rules for nftables.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Plan, Rule, comment, set_name};
use crate::observe::Transport;

/// What the rules are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// Chains of a table of the `inet` family, for its owner to jump to.
    Chains {
        /// The table's name.
        table: &'a str,
    },
    /// A ruleset that drops all else.
    Standalone,
}

/// The longest name of a set, in characters.
const LONGEST: usize = 255;

const STANDALONE: &str = "backupflow";

/// Text for `nft -f`.
pub fn nftables(plan: &Plan, form: Form<'_>) -> String {
    let table = match form {
        Form::Chains { table } => table,
        Form::Standalone => STANDALONE,
    };
    let mut text = head(form);
    for not_opened in &plan.not_opened {
        _ = writeln!(text, "# Not opened: {}: {not_opened}.", not_opened.expectation.key);
    }
    let start = match form {
        Form::Chains { table } => format!(
            "add table inet {table}\n\
             add chain inet {table} backupflow_input\n\
             add chain inet {table} backupflow_output\n\
             flush chain inet {table} backupflow_input\n\
             flush chain inet {table} backupflow_output\n"
        ),
        Form::Standalone => format!("add table inet {table}\ndelete table inet {table}\n"),
    };
    _ = write!(text, "\n{start}\ntable inet {table} {{\n");
    sets(&mut text, plan, table);
    chain(&mut text, plan, "input", true);
    text.push('\n');
    chain(&mut text, plan, "output", false);
    if form == Form::Standalone {
        text.push_str(BASE_CHAINS);
    }
    text.push_str("}\n");
    text
}

fn head(form: Form<'_>) -> String {
    let what = "# What the backup roles of this host need, by `backupflow catalog export`.\n\
                # Export it again when the config changes: by hand only the sets are filled.\n#\n";
    let how = match form {
        Form::Chains { table } => format!(
            "# An accept holds for the table it is in, so these chains belong to yours, `inet {table}`\n\
             # (another: --table NAME). In your ruleset, after `flush ruleset` and before that table:\n\
             #     include \"/etc/nftables.d/backupflow.nft\"\n\
             # and in those chains of the table that hook input and output, before anything drops:\n\
             #     jump backupflow_input\n\
             #     jump backupflow_output\n\
             # What the chains do not accept goes on in yours. Without the jumps nothing changes.\n"
        ),
        Form::Standalone => "# Everything else is dropped, in and out: SSH, DNS, DHCP and NTP too. Add what you need to\n\
                             # the chains `input` and `output`, and load it where you cannot lock yourself out.\n"
            .to_owned(),
    };
    format!("{what}{how}#\n")
}

fn sets(text: &mut String, plan: &Plan, table: &str) {
    for peer in plan.names() {
        let [v4, v6] = ["peer4-", "peer6-"].map(|prefix| set_name(prefix, peer, LONGEST));
        _ = write!(
            text,
            "\t# Addresses of {peer}: nft would look them up once and never again, so fill these by\n\
             \t#     nft add element inet {table} {v4} '{{ ADDRESS, ... }}'\n\
             \tset {v4} {{\n\t\ttype ipv4_addr\n\t\tflags interval\n\t}}\n\
             \tset {v6} {{\n\t\ttype ipv6_addr\n\t\tflags interval\n\t}}\n\n",
        );
    }
}

fn chain(text: &mut String, plan: &Plan, hook: &str, inbound: bool) {
    _ = write!(
        text,
        "\tchain backupflow_{hook} {{\n\
         \t\tct state established,related accept comment \"replies, and errors about them\"\n",
    );
    for rule in &plan.rules {
        if rule.is_inbound() == inbound || rule.expectation.same_host {
            if rule.is_open() {
                let group = &rule.expectation.key.peer_group;
                _ = writeln!(text, "\t\t# Anyone: the config names no peers.{group}.");
            }
            for peers in peers(rule, inbound) {
                let (ports, comment) = (ports(rule), comment(&rule.expectation));
                _ = writeln!(text, "\t\t{peers}{ports} accept comment \"{comment}\"");
            }
        }
    }
    text.push_str("\t}\n");
}

/// The peers' part of each line that a rule takes.
fn peers(rule: &Rule, inbound: bool) -> Vec<String> {
    let (address, interface) = if inbound { ("saddr", "iif") } else { ("daddr", "oif") };
    if rule.expectation.same_host {
        return vec![format!("{interface} \"lo\" ")];
    }
    if rule.is_open() {
        return vec![String::new()];
    }
    let (v4, v6): (Vec<_>, Vec<_>) =
        rule.networks().into_iter().partition(|network| network.addr().is_ipv4());
    let mut lines = Vec::new();
    for (family, prefix, networks) in [("ip", "peer4-", v4), ("ip6", "peer6-", v6)] {
        if !networks.is_empty() {
            let networks = networks.iter().map(|network| {
                let is_host = network.prefix_len() == network.max_prefix_len();
                if is_host { network.addr().to_string() } else { network.to_string() }
            });
            lines.push(format!("{family} {address} {} ", set(networks)));
        }
        let names: BTreeSet<_> = super::names(&rule.expectation).collect();
        for peer in names {
            lines.push(format!("{family} {address} @{} ", set_name(prefix, peer, LONGEST)));
        }
    }
    lines
}

fn ports(rule: &Rule) -> String {
    let ports = set(rule.ports.iter().map(ToString::to_string));
    let transports = &rule.expectation.transports;
    let header = match (transports.contains(&Transport::Tcp), transports.contains(&Transport::Udp))
    {
        (true, true) => "meta l4proto { tcp, udp } th",
        (true, false) => "tcp",
        (false, _) => "udp",
    };
    format!("{header} dport {ports}")
}

/// One value as it is, several as an anonymous set.
fn set(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    match values.as_slice() {
        [value] => value.clone(),
        values => format!("{{ {} }}", values.join(", ")),
    }
}

const BASE_CHAINS: &str = "
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tiif \"lo\" accept
\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, mld-listener-query } accept
\t\tjump backupflow_input
\t}

\tchain output {
\t\ttype filter hook output priority filter; policy drop;
\t\toif \"lo\" accept
\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } accept
\t\tjump backupflow_output
\t}
";
