//! Ids, names and sections.

use std::{collections::BTreeSet, slice};

use crate::{Document, Product};

/// Ids that no two products may share. `seen` collects them.
pub(super) fn across<'a>(
    product: &'a Product,
    seen: &mut Vec<&'a str>,
    found: &mut dyn FnMut(String),
) {
    let documents = product.documents.iter().map(|document| ("document", document.id.as_str()));
    for (kind, id) in documents.chain([("product", product.id.as_str())]) {
        if seen.contains(&id) {
            found(format!("{kind} {id} stands twice"));
        }
        seen.push(id);
    }
}

/// Ids and names within a product.
pub(super) fn within(product: &Product, found: &mut dyn FnMut(String)) {
    if !is_id(&product.id) {
        found(format!("product {} is not in lower case with dashes", product.id));
    }
    let roles = product.roles.iter().map(|role| ("role", role.id.as_str(), role.name.as_str()));
    let scenarios = product
        .scenarios
        .iter()
        .map(|scenario| ("scenario", scenario.id.as_str(), scenario.name.as_str()));
    let options =
        product.options.iter().map(|option| ("option", option.id.as_str(), option.name.as_str()));
    let flows = product.flows.iter().map(|flow| ("flow", flow.id.as_str(), flow.purpose.as_str()));
    let mut seen = BTreeSet::new();
    for (kind, id, text) in roles.chain(scenarios).chain(options).chain(flows) {
        if !seen.insert((kind, id)) {
            found(format!("{kind} {id} stands twice"));
        }
        if !is_id(id) {
            found(format!("{kind} {id} is not in lower case with dashes"));
        }
        if text.trim().is_empty() {
            found(format!("{kind} {id} is not described"));
        }
    }
    for role in &product.roles {
        let all = product.with_included(slice::from_ref(&role.id));
        let takes_part = |roles: &[String]| roles.iter().any(|role| all.contains(role.as_str()));
        if !product.flows.iter().any(|flow| takes_part(&flow.from) || takes_part(&flow.to)) {
            found(format!("role {} takes part in no flow", role.id));
        }
        if let Some(other) = &role.same_as
            && (*other == role.id || product.role(other).is_none_or(|role| role.same_as.is_some()))
        {
            found(format!("role {} is the same as {other}, which is no other role", role.id));
        }
        for included in &role.includes {
            if *included == role.id || product.role(included).is_none() {
                found(format!("role {} includes {included}, which is no other role", role.id));
            }
        }
    }
    for option in &product.options {
        let mut named = product.flows.iter().flat_map(|flow| {
            let replacing = flow.replaces.as_ref().map(|replaces| &replaces.option);
            flow.option.iter().chain(replacing)
        });
        if !named.any(|id| *id == option.id) {
            found(format!("option {} makes no difference to any flow", option.id));
        }
    }
    for scenario in &product.scenarios {
        let mut named = product.flows.iter().flat_map(|flow| {
            let endpoints = flow.endpoints.iter().flat_map(|endpoint| &endpoint.scenarios);
            flow.scenarios.iter().chain(endpoints)
        });
        if !named.any(|id| *id == scenario.id) {
            found(format!("scenario {} makes no difference to any flow", scenario.id));
        }
    }
}

/// Each section has a flow or a reason for none.
pub(super) fn sections(product: &Product, found: &mut dyn FnMut(String)) {
    for document in &product.documents {
        describes(document, found);
        let mut seen = BTreeSet::new();
        for section in &document.sections {
            let place = format!("section {section} of {}", document.id);
            if !seen.insert(section) {
                found(format!("{place} stands twice"));
            }
            if section.is_empty() || section.chars().any(|c| c.is_whitespace() || c.is_uppercase())
            {
                found(format!("{place} has blanks or upper case"));
            }
            let has_flow = product
                .flows
                .iter()
                .flat_map(|flow| &flow.sources)
                .any(|source| source.document == document.id && source.section == *section);
            match (document.no_entry.get(section), has_flow) {
                (None, false) => found(format!("{place} has no flow and no reason for that")),
                (Some(_), true) => found(format!("{place} has flows and a reason for none")),
                (Some(reason), false) if reason.trim().is_empty() => {
                    found(format!("{place} has an empty reason"));
                }
                (Some(_), false) | (None, true) => {}
            }
        }
        let meant = document.refers.iter().flat_map(|(section, to)| to.iter().chain([section]));
        for section in document.no_entry.keys().chain(meant) {
            if !seen.contains(section) {
                found(format!("document {} has no section {section}", document.id));
            }
        }
        for section in document.refers.keys() {
            if !document.no_entry.contains_key(section) {
                found(format!(
                    "section {section} of {} refers to others, but not why",
                    document.id
                ));
            }
        }
    }
}

fn describes(document: &Document, found: &mut dyn FnMut(String)) {
    let texts = [&document.title, &document.vendor, &document.edition, &document.language];
    if texts.into_iter().any(|text| text.trim().is_empty()) {
        found(format!("document {} is not described", document.id));
    }
    if let Some(date) = &document.date
        && !is_date(date)
    {
        found(format!("document {} has the date {date}, which does not exist", document.id));
    }
}

/// Lower case letters and digits, with single dashes between.
fn is_id(id: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    id.split('-').all(is_word)
}

/// `YYYY-MM-DD`; how long a month is does not matter here.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let is_number = |part: &str, digits: usize, last: u32| {
        part.len() == digits
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse().is_ok_and(|number: u32| (1..=last).contains(&number))
    };
    is_number(year, 4, 9999) && is_number(month, 2, 12) && is_number(day, 2, 31)
}
