//! What a flow says makes sense.

use std::fmt;

use crate::{Endpoint, Flow, Ports, Requirement, Row, Transport};

pub(super) fn check(flow: &Flow, found: &mut dyn FnMut(String)) {
    lists(flow, found);
    rows(flow, found);
    texts(flow, found);
    ports(flow, found);
    requirement(flow, found);
    if flow.same_host && (flow.from != flow.to || flow.from.len() > 1) {
        found("it stays on the host, but between different roles".to_owned());
    }
    if flow.no_tls_inspection && !flow.firewall {
        found("it is not to be inspected, but passes no firewall".to_owned());
    }
    if (flow.one_way || flow.multicast) && flow.transport != [Transport::Udp] {
        found("it needs no answer, but a transport does".to_owned());
    }
    if flow.one_way && flow.multicast {
        found("it is multicast, which is one-way already".to_owned());
    }
    for source in &flow.sources {
        if source.doubt.is_some() != source.reading.is_some() {
            found(format!("{} needs both doubt and reading, or neither", source.section));
        }
    }
    for (index, endpoint) in flow.endpoints.iter().enumerate() {
        check_endpoint(flow, endpoint, found);
        if flow.endpoints.iter().take(index).any(|other| is_same(other, endpoint)) {
            found(format!("endpoint {} stands twice", endpoint.label()));
        }
    }
}

fn lists(flow: &Flow, found: &mut dyn FnMut(String)) {
    let (from, to) = (is_repeated(&flow.from), is_repeated(&flow.to));
    for (list, is_empty, is_repeated) in [
        ("from", flow.from.is_empty(), from),
        ("to", flow.to.is_empty(), to),
        ("transport", flow.transport.is_empty(), is_repeated(&flow.transport)),
        ("ports", flow.ports.is_empty(), false),
        ("source", flow.sources.is_empty(), is_repeated(&flow.sources)),
        ("scenarios", false, is_repeated(&flow.scenarios)),
    ] {
        if is_empty {
            found(format!("{list} is empty"));
        }
        if is_repeated {
            found(format!("{list} has something twice"));
        }
    }
    for by in &flow.addressed_by {
        if by.kinds.is_empty() || is_repeated(&by.kinds) {
            found(format!("the kinds of address of {} are empty or stand twice", by.role));
        }
    }
}

fn is_repeated<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(index, item)| items.iter().take(index).any(|i| i == item))
}

/// A text that may be left out is not there to be empty.
fn texts(flow: &Flow, found: &mut dyn FnMut(String)) {
    let own = [
        ("condition", &flow.condition),
        ("without", &flow.without),
        ("since", &flow.since),
        ("alternatives", &flow.alternatives),
    ];
    let own = own.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    let setting = flow.changeable.iter().map(|changeable| ("setting", &changeable.setting));
    let sources = flow.sources.iter().flat_map(|source| {
        let texts = [("traffic", &source.traffic), ("doubt", &source.doubt)];
        let texts = texts.into_iter().chain([("reading", &source.reading)]);
        texts.filter_map(|(name, text)| Some((name, text.as_ref()?)))
    });
    for (name, text) in own.chain(setting).chain(sources) {
        // A tab or a line break would tear the line of a fact apart.
        if text.trim().is_empty() || text.contains(char::is_control) {
            found(format!("{name} is empty or has control characters"));
        }
    }
}

/// A section speaks of a part of the flow, and every part of the flow has a section.
fn rows(flow: &Flow, found: &mut dyn FnMut(String)) {
    let rows: Vec<Row<'_>> = flow.rows().collect();
    part("from", &flow.from, rows.iter().map(|row| row.from), found);
    part("to", &flow.to, rows.iter().map(|row| row.to), found);
    part("transport", &flow.transport, rows.iter().map(|row| row.transport), found);
    part("ports", &flow.ports, rows.iter().map(|row| row.ports), found);
    // A flow of all scenarios lists none; its sections may.
    if !flow.scenarios.is_empty() {
        part("scenarios", &flow.scenarios, rows.iter().map(|row| row.scenarios), found);
    }
}

fn part<'a, T: PartialEq + fmt::Display + 'a>(
    name: &str,
    whole: &[T],
    parts: impl Iterator<Item = &'a [T]>,
    found: &mut dyn FnMut(String),
) {
    let parts: Vec<&T> = parts.flatten().collect();
    for item in &parts {
        if !whole.contains(item) {
            found(format!("a source has {item} in {name}, the flow has not"));
        }
    }
    for item in whole {
        if !parts.contains(&item) && !parts.is_empty() {
            found(format!("no source has {item} in {name}"));
        }
    }
}

fn ports(flow: &Flow, found: &mut dyn FnMut(String)) {
    for (index, ports) in flow.ports.iter().enumerate() {
        if let Ports::Range { first, last } = ports
            && (*first == 0 || first > last)
        {
            found(format!("{ports} is no port"));
        }
        if flow.ports.iter().take(index).any(|other| overlap(*other, *ports)) {
            found(format!("{ports} stands there already"));
        }
    }
    let is_single =
        matches!(flow.ports.as_slice(), [Ports::Range { first, last }] if first == last);
    if flow.changeable.is_some() && !is_single {
        found("its port is changeable, but it is not just one".to_owned());
    }
}

fn overlap(one: Ports, other: Ports) -> bool {
    match (one, other) {
        (Ports::Dynamic, Ports::Dynamic) => true,
        (Ports::Range { first, last }, Ports::Range { first: other_first, last: other_last }) => {
            first <= other_last && other_first <= last
        }
        (Ports::Dynamic, Ports::Range { .. }) | (Ports::Range { .. }, Ports::Dynamic) => false,
    }
}

fn requirement(flow: &Flow, found: &mut dyn FnMut(String)) {
    match (flow.requirement, flow.condition.is_some()) {
        (Requirement::Conditional, false) => found("it is conditional, on nothing".to_owned()),
        (Requirement::Required, true) => found("it is required, on a condition".to_owned()),
        _ => {}
    }
    if flow.requirement == Requirement::Required && flow.without.is_some() {
        found("it is required, though only a part fails without it".to_owned());
    }
    if flow.requirement == Requirement::Legacy && (flow.backup_data || flow.replaces.is_some()) {
        found("it is legacy, so it neither carries backups nor replaces a flow".to_owned());
    }
    if flow.requirement == Requirement::NotRequired && flow.backup_data {
        found("it carries backups, but is not required".to_owned());
    }
    if flow.daily && !flow.backup_data {
        found("it is daily, but carries no backups".to_owned());
    }
}

fn check_endpoint(flow: &Flow, endpoint: &Endpoint, found: &mut dyn FnMut(String)) {
    match (&endpoint.name, endpoint.addresses.as_slice()) {
        (Some(name), addresses) => {
            if !is_host_name(name) {
                found(format!("{name} is no host name"));
            }
            if is_repeated(addresses) {
                found(format!("{name} has an address twice"));
            }
        }
        (None, [network]) => {
            if flow.by_name && network.is_host() {
                found(format!("{network} has no name, by which it is to be addressed"));
            }
        }
        (None, _) => found("an endpoint has neither a name nor just one network".to_owned()),
    }
    if endpoint.minimum && endpoint.name.is_some() {
        found(format!("{} is no network, so no minimum", endpoint.label()));
    }
}

/// The same machine or network, said by the same section of the same role and scenario.
fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    one.label() == other.label()
        && one.role == other.role
        && one.section == other.section
        && one.scenarios == other.scenarios
}

/// At least two labels of lower case letters, digits and inner dashes; `*` may stand for the first.
fn is_host_name(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    rest.contains('.') && rest.split('.').all(is_label)
}
