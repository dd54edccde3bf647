//! Ids of the catalog, as the user writes them.

use std::{collections::BTreeSet, ffi::OsStr};

use anyhow::anyhow;
use catalog::{Catalog, Product};
use clap::{
    Arg,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

use crate::config::words;

/// The products' ids.
pub(super) const PRODUCTS: Ids = Ids(|product| vec![product.id.as_str()]);
/// The ids of all roles.
pub(super) const ROLES: Ids =
    Ids(|product| product.roles.iter().map(|role| role.id.as_str()).collect());
/// The ids of all flows.
pub(super) const FLOWS: Ids =
    Ids(|product| product.flows.iter().map(|flow| flow.id.as_str()).collect());

/// Takes any text, since the command itself says what is unknown; shells complete it to ids of the catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids(fn(&'static Product) -> Vec<&'static str>);

impl TypedValueParser for Ids {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let ids: BTreeSet<_> = catalog::bundled().products.iter().flat_map(self.0).collect();
        Some(Box::new(ids.into_iter().map(PossibleValue::new)))
    }
}

/// The product of the id, or all.
pub(super) fn products<'c>(
    catalog: &'c Catalog,
    id: Option<&str>,
) -> anyhow::Result<Vec<&'c Product>> {
    let Some(id) = id else {
        return Ok(catalog.products.iter().collect());
    };
    let ids = || catalog.products.iter().map(|product| product.id.as_str());
    let product = catalog.product(id).ok_or_else(|| unknown("product", id, ids()))?;
    Ok(vec![product])
}

/// An error that says what could be meant.
pub(super) fn unknown(
    what: &str,
    written: &str,
    known: impl Iterator<Item: AsRef<str>>,
) -> anyhow::Error {
    let help = words::instead(written, &format!("known {what}s"), known);
    anyhow!("no {what} {written}: {}", help.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_gets_a_suggestion() {
        let said = |id| products(catalog::bundled(), Some(id)).unwrap_err().to_string();
        let known = "known products: `arctera-dlo`, `gigavault-storage`, `ibm-backup-recovery`, \
                     `ibm-cloud-backup`";
        assert_eq!(said("tape"), format!("no product tape: {known}"));
        let meant = "did you mean `gigavault-storage`?";
        assert_eq!(said("vault"), format!("no product vault: {meant} {known}"));
        let roles = catalog::bundled().products.iter().flat_map(|product| &product.roles);
        let error = unknown("role", "sql", roles.map(|role| &role.id)).to_string();
        let expected =
            "no role sql: did you mean `ms-sql-server`, `postgresql-server` or `sql-server`?";
        assert_eq!(error, expected);
    }

    #[test]
    fn shells_are_given_each_id_once() {
        let ids = |ids: Ids| -> Vec<String> {
            let ids = ids.possible_values().unwrap();
            ids.map(|id| id.get_name().to_owned()).collect()
        };
        let products =
            ["arctera-dlo", "gigavault-storage", "ibm-backup-recovery", "ibm-cloud-backup"];
        assert_eq!(ids(PRODUCTS), products);
        let roles = ids(ROLES);
        assert_eq!(roles.iter().filter(|role| *role == "client").count(), 1);
        assert!(roles.is_sorted(), "{roles:?}");
        assert!(ids(FLOWS).contains(&"agent-50051".to_owned()));
    }
}
