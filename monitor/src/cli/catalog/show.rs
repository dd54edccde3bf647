//! `catalog show`: all that is known of a flow.

use std::{collections::BTreeSet, fmt::Write as _, process::ExitCode};

use anyhow::bail;
use catalog::{AddressKind, Flow, Moment, Product, Source};
use serde_json::json;

use super::{Format, ids, output, ports};
use crate::config::{matches, words};

pub(super) fn run(wanted: &str, format: Format) -> anyhow::Result<ExitCode> {
    let (product, id) = wanted.split_once('/').map_or((None, wanted), |(p, f)| (Some(p), f));
    let products = ids::products(catalog::bundled(), product)?;
    let flows = |product: &&'static Product| {
        let product = *product;
        product.flows.iter().map(move |flow| (product, flow))
    };
    let all = || products.iter().flat_map(flows);
    let found: Vec<(&Product, &Flow)> = all().filter(|(_, flow)| matches(id, &flow.id)).collect();
    if found.is_empty() {
        let known: BTreeSet<&str> = all().map(|(_, flow)| flow.id.as_str()).collect();
        let known: Vec<&str> = known.into_iter().collect();
        let help = words::suggestion(id, &known);
        let help = help.as_deref().unwrap_or("`backupflow catalog list` shows all");
        bail!("no flow {wanted}: {help}");
    }
    if format == Format::Json {
        let flows: Vec<_> = found
            .iter()
            .map(|(product, flow)| json!({"product": product.id, "flow": flow}))
            .collect();
        output::json(&json!({"schema": 1, "flows": flows}))?;
    } else {
        let texts: Vec<String> =
            found.iter().map(|(product, flow)| describe(product, flow, output::width())).collect();
        output::text(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Width of the column of names.
const NAMES: usize = 13;

fn describe(product: &Product, flow: &Flow, width: u16) -> String {
    let mut text = format!("{}/{}\n", product.id, flow.id);
    let mut line = |name: &str, value: &str| {
        let width = usize::from(width).saturating_sub(NAMES + 2).max(20);
        let options =
            textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation);
        for (index, part) in textwrap::wrap(value, options).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            _ = writeln!(text, "  {name:<NAMES$}{part}");
        }
    };
    line("what", &flow.purpose);
    line("from", &flow.from.join(", "));
    line("to", &flow.to.join(", "));
    line("port", &ports(flow));
    line("requirement", &flow.requirement.to_string());
    for (name, saying) in sayings(product, flow) {
        line(name, &saying);
    }
    for rule in rules(flow) {
        line("rule", rule);
    }
    for endpoint in &flow.endpoints {
        let addresses: Vec<String> = endpoint.addresses.iter().map(ToString::to_string).collect();
        let name = endpoint.name.as_deref().unwrap_or_default();
        let least = if endpoint.minimum { ", at least" } else { "" };
        let role = endpoint.role.as_ref().map_or(String::new(), |role| format!(" ({role})"));
        line("endpoint", format!("{name} {}{least}{role}", addresses.join(" ")).trim());
    }
    for source in &flow.sources {
        line("source", &place(source));
        if let (Some(doubt), Some(reading)) = (&source.doubt, &source.reading) {
            line("  doubt", doubt);
            line("  read as", reading);
        }
    }
    let is_source = |id: &String| flow.sources.iter().any(|source| source.document == *id);
    for document in product.documents.iter().filter(|document| is_source(&document.id)) {
        line("document", &format!("{}: {}", document.id, document.title));
    }
    text
}

fn sayings(product: &Product, flow: &Flow) -> Vec<(&'static str, String)> {
    let option = |id: &str| {
        let name = product.option(id).map_or("", |option| option.name.as_str());
        format!("with the option {id}: {name}")
    };
    let sayings = [
        ("only if", flow.condition.clone()),
        ("only", flow.option.as_deref().map(option)),
        ("only while", flow.moment.map(|moment| while_(moment).to_owned())),
        ("without it", flow.without.clone()),
        ("since", flow.since.as_ref().map(|version| format!("version {version}"))),
        (
            "replaces",
            flow.replaces
                .as_ref()
                .map(|other| format!("{}, {}", other.flow, option(&other.option))),
        ),
        ("one of", flow.alternatives.as_ref().map(|group| alternatives(product, group))),
        (
            "port set by",
            flow.changeable.as_ref().map(|changeable| {
                let both =
                    if changeable.same_at_both_ends { ", the same at both ends" } else { "" };
                format!("{}{both}", changeable.setting)
            }),
        ),
        ("scenarios", (!flow.scenarios.is_empty()).then(|| flow.scenarios.join(", "))),
        ("addresses", addresses(product, flow)),
    ];
    sayings.into_iter().filter_map(|(name, saying)| Some((name, saying?))).collect()
}

fn alternatives(product: &Product, group: &str) -> String {
    let members = product.flows.iter().filter(|flow| flow.alternatives.as_deref() == Some(group));
    let ids: Vec<&str> = members.map(|flow| flow.id.as_str()).collect();
    format!("{}: any is enough", ids.join(", "))
}

/// Which addresses a role of several uses: as the flow says, else as the role does.
fn addresses(product: &Product, flow: &Flow) -> Option<String> {
    let of_roles = flow.from.iter().chain(&flow.to).filter_map(|id| product.role(id));
    let mut said: Vec<String> = Vec::new();
    for role in of_roles {
        let own = flow.addressed_by.iter().find(|by| by.role == role.id);
        let kinds = own.map_or(&role.addresses, |by| &by.kinds);
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind_name(*kind)).collect();
        let text = format!("{} by its {} address", role.id, kinds.join(" or "));
        if !kinds.is_empty() && !said.contains(&text) {
            said.push(text);
        }
    }
    (!said.is_empty()).then(|| said.join(", "))
}

const fn kind_name(kind: AddressKind) -> &'static str {
    match kind {
        AddressKind::Node => "node",
        AddressKind::Virtual => "virtual",
        AddressKind::Vlan => "VLAN",
    }
}

const fn while_(moment: Moment) -> &'static str {
    match moment {
        Moment::PushInstall => "agents are installed from a distance",
        Moment::ClusterSetup => "a cluster is created or gets another node",
        Moment::DirectoryJoin => "a directory is joined",
        Moment::Upgrade => "software is upgraded or patched",
        Moment::Recovery => "data is recovered",
        Moment::Support => "support looks into a fault",
    }
}

fn rules(flow: &Flow) -> impl Iterator<Item = &'static str> {
    let rules = [
        (
            flow.daily,
            "every backup goes this way: due within 26h, unless the config says otherwise",
        ),
        (flow.every_member, "every machine of the role has to be reachable, not just any"),
        (flow.same_host, "it never leaves the machine"),
        (flow.both_ways, "the port is open at both ends"),
        (flow.one_way, "its datagrams need no answer"),
        (
            flow.multicast,
            "its datagrams go to every machine of the role at once, and need no answer",
        ),
        (!flow.firewall, "no firewall needs a rule for it"),
        (flow.no_tls_inspection, "nothing on the way may open TLS"),
        (flow.by_name, "address the peer by its name"),
    ];
    rules.into_iter().filter_map(|(holds, rule)| holds.then_some(rule))
}

fn place(source: &Source) -> String {
    let mut place = format!("section {} of {}", source.section, source.document);
    for (name, narrowed) in
        [("from", &source.from), ("to", &source.to), ("scenarios", &source.scenarios)]
    {
        if !narrowed.is_empty() {
            _ = write!(place, ", {name} {}", narrowed.join(" "));
        }
    }
    place
}
