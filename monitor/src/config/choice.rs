//! What of a product's document applies here: the host's roles, the sections and the scenario.

use std::slice;

use catalog::{Product, Row, Scope};

use super::log::{At, Log};
use super::section::Field;
use super::{words, written};

pub(super) fn mean_roles(
    system: &written::System,
    product: &Product,
    log: &mut Log<'_>,
) -> Option<Vec<String>> {
    let roles = match &system.roles {
        Field::Invalid => return None,
        Field::Absent => {
            let what = format!("roles of {}", product.id);
            let help = words::allowed(&what, &role_ids(product).collect::<Vec<_>>());
            log.missing(&system.place.child("roles"), "`roles` is missing", help);
            return None;
        }
        Field::Given(roles) => &roles.value,
    };
    mean_list(roles, "role", product, role_ids, log)
}

pub(super) fn mean_sections(
    system: &written::System,
    product: &Product,
    log: &mut Log<'_>,
) -> Option<Vec<String>> {
    match &system.sections {
        Field::Invalid => None,
        Field::Absent => Some(Vec::new()),
        Field::Given(sections) => {
            mean_list(&sections.value, "section", product, Product::sections, log)
        }
    }
}

/// Words of which each is one of the product's and none stands twice.
fn mean_list<'p, I: Iterator<Item = &'p str>>(
    list: &[At<String>],
    what: &str,
    product: &'p Product,
    known: fn(&'p Product) -> I,
    log: &mut Log<'_>,
) -> Option<Vec<String>> {
    let mut meant: Vec<String> = Vec::new();
    for word in list {
        if !known(product).any(|known| known == word.value) {
            unknown(word, what, product, known(product), log);
        } else if meant.contains(&word.value) {
            log.fault(&word.place, format!("{what} `{}` stands here twice", word.value), None);
        } else {
            meant.push(word.value.clone());
        }
    }
    (meant.len() == list.len()).then_some(meant)
}

pub(super) fn mean_options(
    system: &written::System,
    product: &Product,
    log: &mut Log<'_>,
) -> Option<Vec<String>> {
    match &system.options {
        Field::Invalid => None,
        Field::Absent => Some(Vec::new()),
        Field::Given(options) => mean_list(&options.value, "option", product, option_ids, log),
    }
}

/// There was a fault, and it is in the log.
pub(super) struct Reported;

/// The scenario, which a product without scenarios does not have.
pub(super) fn mean_scenario(
    system: &written::System,
    product: &Product,
    log: &mut Log<'_>,
) -> Result<Option<String>, Reported> {
    let ids = || product.scenarios.iter().map(|scenario| scenario.id.as_str());
    match &system.scenario {
        Field::Invalid => Err(Reported),
        Field::Absent if product.scenarios.is_empty() => Ok(None),
        Field::Absent => {
            let what = format!("scenarios of {}", product.id);
            let help = words::allowed(&what, &ids().collect::<Vec<_>>());
            let message = format!("`scenario` is missing, and {} has several", product.id);
            log.missing(&system.place.child("scenario"), message, help);
            Err(Reported)
        }
        Field::Given(scenario) if product.scenarios.is_empty() => {
            let message = format!("{} has no scenarios", product.id);
            log.fault(&scenario.place, message, Some("remove the key".to_owned()));
            Err(Reported)
        }
        Field::Given(scenario) if product.scenario(&scenario.value).is_none() => {
            unknown(scenario, "scenario", product, ids(), log);
            Err(Reported)
        }
        Field::Given(scenario) => Ok(Some(scenario.value.clone())),
    }
}

/// Reports the roles that the chosen sections, scenario and options leave without a flow: watching them would say nothing.
pub(super) fn reject_idle_roles(
    roles: &Field<Vec<At<String>>>,
    product: &Product,
    scope: Scope<'_>,
    log: &mut Log<'_>,
) {
    let Field::Given(roles) = roles else {
        return;
    };
    for role in &roles.value {
        let played = product.with_included(slice::from_ref(&role.value));
        let plays = |roles: &[String]| roles.iter().any(|role| played.contains(role.as_str()));
        let takes_part = |row: &Row<'_>| plays(row.from) || plays(row.to);
        let is_busy = |flow| product.rows_in(flow, scope).any(|row| takes_part(&row));
        if played.is_empty() || product.flows.iter().any(is_busy) {
            continue;
        }
        let message = format!(
            "role `{}` takes part in no flow of the chosen sections, scenario and options, so this system expects nothing of it",
            role.value
        );
        let mut elsewhere: Vec<String> = Vec::new();
        for flow in &product.flows {
            let rows = flow.rows().filter(takes_part);
            let option = flow.option.as_ref().map(|option| format!(" with option {option}"));
            elsewhere.extend(
                rows.map(|row| row.source.section.clone() + option.as_deref().unwrap_or_default()),
            );
        }
        elsewhere.sort_unstable();
        elsewhere.dedup();
        let elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
        let help = words::allowed("it takes part in the sections", &elsewhere);
        log.fault(&role.place, message, help);
    }
}

/// Reports a word that the product does not have.
pub(super) fn unknown(
    word: &At<String>,
    what: &str,
    product: &Product,
    known: impl Iterator<Item: AsRef<str>>,
    log: &mut Log<'_>,
) {
    let message = format!("{} has no {what} {}", product.id, words::quote(&word.value));
    let help = words::instead(&word.value, &format!("{what}s of {}", product.id), known);
    log.fault(&word.place, message, help);
}

pub(super) fn role_ids(product: &Product) -> impl Iterator<Item = &str> {
    product.roles.iter().map(|role| role.id.as_str())
}

fn option_ids(product: &Product) -> impl Iterator<Item = &str> {
    product.options.iter().map(|option| option.id.as_str())
}
