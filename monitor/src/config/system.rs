//! The second step for `[[system]]`: what the user wrote, compared with the catalog.

use std::collections::BTreeMap;

use catalog::{Product, Scope};

use super::log::{Log, Place};
use super::section::Field;
use super::{System, choice, network, presence, words, written};

/// The systems, if there is at least one and none has a fault.
pub(super) fn mean_all(written: &written::Systems, log: &mut Log<'_>) -> Option<Vec<System>> {
    let list = written.list.as_ref()?;
    if list.is_empty() {
        let help =
            "add a `[[system]]` with a `product` and `roles`: `backupflow suggest` proposes one";
        log.missing(&written.place, "no system is configured", Some(help.to_owned()));
        return None;
    }
    let mut names = BTreeMap::new();
    let mut systems = Vec::new();
    for system in list {
        systems.push(mean(system, &mut names, log));
    }
    systems.into_iter().collect()
}

/// One system. Each part is read before the first fault ends it, and without the product what can be judged without.
fn mean(
    system: &written::System,
    names: &mut BTreeMap<String, Place>,
    log: &mut Log<'_>,
) -> Option<System> {
    let product = mean_product(system, log);
    let name = mean_name(system, product, names, log);
    let peers = network::mean_peers(system, product, log);
    let ports = network::mean_ports(system, product, log);
    let expect = presence::mean_all(&system.expect, product, log);
    let product = product?;
    let roles = choice::mean_roles(system, product, log);
    let sections = choice::mean_sections(system, product, log);
    let scenario = choice::mean_scenario(system, product, log);
    let options = choice::mean_options(system, product, log);
    let (sections, scenario, options) = (sections?, scenario.ok()?, options?);
    let scope = Scope { sections: &sections, scenario: scenario.as_deref(), options: &options };
    choice::reject_idle_roles(&system.roles, product, scope, log);
    Some(System {
        name: name?,
        product,
        roles: roles?,
        sections,
        scenario,
        options,
        peers: peers?,
        ports: ports?,
        expect: expect?,
    })
}

fn mean_product(system: &written::System, log: &mut Log<'_>) -> Option<&'static Product> {
    let catalog = catalog::bundled();
    let ids = || catalog.products.iter().map(|product| product.id.as_str());
    match &system.product {
        Field::Invalid => None,
        Field::Absent => {
            let help = words::allowed("known products", &ids().collect::<Vec<_>>());
            log.missing(&system.place.child("product"), "`product` is missing", help);
            None
        }
        Field::Given(id) => {
            let product = catalog.product(&id.value);
            if product.is_none() {
                let message = format!("unknown product {}", words::quote(&id.value));
                let help = words::instead(&id.value, "known products", ids());
                log.fault(&id.place, message, help);
            }
            product
        }
    }
}

/// The name, unless it is malformed or taken; `names` holds the place of each name so far.
fn mean_name(
    system: &written::System,
    product: Option<&Product>,
    names: &mut BTreeMap<String, Place>,
    log: &mut Log<'_>,
) -> Option<String> {
    let (name, place) = match &system.name {
        Field::Invalid => return None,
        Field::Absent => (product?.id.clone(), system.place.child("name")),
        Field::Given(name) => (name.value.clone(), name.place.clone()),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !(1..=64).contains(&name.len()) || !name.chars().all(is_plain) {
        let message = format!("{} is not a system's name", words::quote(&name));
        let help = "write 1 to 64 letters, digits, `_`, `.` or `-`".to_owned();
        log.fault(&place, message, Some(help));
        return None;
    }
    if let Some(first) = names.get(&name) {
        let line = log.line_of(first);
        let line = line.map_or(String::new(), |line| format!(" on line {line}"));
        let message = format!("the system{line} is named `{name}` too");
        let help = "give each its own `name`; without one, a system is named after its product";
        log.fault(&place, message, Some(help.to_owned()));
        return None;
    }
    names.insert(name.clone(), place);
    Some(name)
}
