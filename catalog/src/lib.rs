//! The documented ports of backup products.
//!
//! The data is in `products/`, one file a product, every flow with the document and the section
//! that say so. This crate gives it types, checks it and looks things up.

mod facts;
mod lint;
mod model;
#[cfg(test)]
mod properties;
mod rows;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::LazyLock};

pub use facts::Fact;
pub use lint::Finding;
pub use model::{
    AddressError, AddressKind, AddressedBy, Application, Changeable, Document, Endpoint, Flow,
    Heading, Moment, Network, Ports, PortsError, Product, ProductOption, Replaces, Requirement,
    Role, Scenario, Source, Transport,
};
pub use rows::{Row, Scope};

/// Every product that is known.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The products, by id.
    pub products: Vec<Product>,
}

/// The files that are built in, as (id, text).
const FILES: &[(&str, &str)] = &[
    ("arctera-dlo", include_str!("../products/arctera-dlo.toml")),
    ("gigavault-storage", include_str!("../products/gigavault-storage.toml")),
    ("ibm-backup-recovery", include_str!("../products/ibm-backup-recovery.toml")),
    ("ibm-cloud-backup", include_str!("../products/ibm-cloud-backup.toml")),
];

/// The catalog that is built in, read at the first call.
pub fn bundled() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let products = FILES.iter().map(|(id, text)| match toml::from_str(text) {
            Ok(product) => product,
            Err(error) => broken(id, &error),
        });
        Catalog { products: products.collect() }
    });
    &CATALOG
}

#[expect(clippy::panic, reason = "a test reads every file that is built in")]
fn broken(id: &str, error: &toml::de::Error) -> ! {
    panic!("products/{id}.toml: {error}")
}

impl Catalog {
    /// The product of an id.
    pub fn product(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }

    /// What the documents say, one fact for each document, section, pair of roles, transport, port or
    /// range, scenario and endpoint; sorted.
    pub fn facts(&self) -> Vec<Fact> {
        let facts = self.products.iter().flat_map(facts::of_product);
        let mut facts: Vec<Fact> = facts.map(|(_, fact)| fact).collect();
        facts.sort();
        facts.dedup();
        facts
    }

    /// Everything that is wrong with the data; empty for [`bundled`].
    pub fn lint(&self) -> Vec<Finding> {
        lint::all(&self.products)
    }
}

impl Product {
    /// The flow of an id.
    pub fn flow(&self, id: &str) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.id == id)
    }

    /// The role of an id.
    pub fn role(&self, id: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.id == id)
    }

    /// The scenario of an id.
    pub fn scenario(&self, id: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.id == id)
    }

    /// The option of an id.
    pub fn option(&self, id: &str) -> Option<&ProductOption> {
        self.options.iter().find(|option| option.id == id)
    }

    /// The document of an id.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.id == id)
    }

    /// The sections of all documents that have flows or refer to some, sorted, each once.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        let sections: BTreeSet<&str> = self
            .documents
            .iter()
            .flat_map(|document| {
                let is_empty = |section: &&String| {
                    document.no_entry.contains_key(*section)
                        && !document.refers.contains_key(*section)
                };
                document.sections.iter().filter(move |section| !is_empty(section))
            })
            .map(String::as_str)
            .collect();
        sections.into_iter()
    }
}
