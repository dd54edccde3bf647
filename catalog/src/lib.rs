//! The documented ports of backup products.
//!
//! The data is in `products/`, one file a product, every flow with the document and the section
//! that say so. This crate gives it types, checks it and looks things up.

mod facts;
mod lint;
mod model;

use std::{collections::BTreeSet, sync::LazyLock};

pub use facts::Fact;
pub use lint::Finding;
pub use model::{
    Changeable, Document, Endpoint, Flow, Heading, Ports, Product, Replaces, Requirement, Role,
    Scenario, Section, Source, Transport,
};

/// Every product that is known.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The products, by id.
    pub products: Vec<Product>,
}

/// The products that this build carries, as (id, text).
const FILES: [(&str, &str); 4] = [
    ("arctera-dlo", include_str!("../products/arctera-dlo.toml")),
    ("gigavault-storage", include_str!("../products/gigavault-storage.toml")),
    ("ibm-backup-recovery", include_str!("../products/ibm-backup-recovery.toml")),
    ("ibm-cloud-backup", include_str!("../products/ibm-cloud-backup.toml")),
];

/// The catalog that this build carries.
pub fn bundled() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let products = FILES.map(|(id, text)| match toml::from_str(text) {
            Ok(product) => product,
            Err(error) => broken(id, &error),
        });
        Catalog { products: products.into() }
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

    /// Every fact of every product, in the order of the files.
    pub fn facts(&self) -> Vec<Fact> {
        self.products.iter().flat_map(facts::of_product).collect()
    }

    /// Everything that is wrong with the data.
    pub fn lint(&self) -> Vec<Finding> {
        self.products.iter().flat_map(lint::product).collect()
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

    /// The document of an id.
    pub fn document(&self, id: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.id == id)
    }

    /// The sections of all documents, each once.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        let sections: BTreeSet<&str> = self
            .documents
            .iter()
            .flat_map(|document| &document.sections)
            .map(|section| section.id.as_str())
            .collect();
        sections.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_by_its_id_and_has_no_finding() {
        let ids: Vec<&str> = bundled().products.iter().map(|product| product.id.as_str()).collect();
        assert_eq!(ids, FILES.map(|(id, _)| id));
        let findings: Vec<String> = bundled().lint().iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }

    #[test]
    fn product_survives_toml() {
        for product in &bundled().products {
            let text = toml::to_string(product).unwrap();
            let again: Product = toml::from_str(&text).unwrap();
            assert_eq!(toml::to_string(&again).unwrap(), text);
        }
    }

    #[test]
    fn both_editions_of_ibm_cloud_backup_say_26_things() {
        for document in ["ibm-cloud-backup-zh-2019", "ibm-cloud-backup-ko-2018"] {
            let facts = bundled().facts();
            let of_document = facts.iter().filter(|fact| fact.document == document);
            let by_section = of_document.fold([0; 3], |mut counts, fact| {
                counts[match fact.section.as_str() {
                    "portinfo" => 0,
                    "commercial" => 1,
                    _ => 2,
                }] += 1;
                counts
            });
            assert_eq!(by_section, [12, 12, 2], "{document}");
        }
    }
}
