//! What a product's file says.

mod endpoint;
mod flow;
mod ports;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use endpoint::{AddressError, Endpoint, Network};
pub use flow::{
    AddressKind, AddressedBy, Application, Changeable, Flow, Heading, Moment, Replaces,
    Requirement, Source,
};
pub use ports::{Ports, PortsError, Transport};

/// One documented backup product.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Product {
    /// Stable name of the product, in lower case with dashes.
    pub id: String,
    /// The vendor's name of the product.
    pub name: String,
    /// The documents say more than is entered so far.
    #[serde(default)]
    pub partial: bool,
    /// The documents that the flows come from.
    #[serde(rename(deserialize = "document"))]
    pub documents: Vec<Document>,
    /// What machines are in the documents.
    #[serde(rename(deserialize = "role"))]
    pub roles: Vec<Role>,
    /// Ways to deploy the product that need different flows; a system is in exactly one of them.
    #[serde(rename(deserialize = "scenario"), default)]
    pub scenarios: Vec<Scenario>,
    /// The documented flows.
    #[serde(rename(deserialize = "flow"))]
    pub flows: Vec<Flow>,
}

/// One edition of a vendor's text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Document {
    /// Stable name of the edition, unique among the documents of all products.
    pub id: String,
    /// Title, in the document's language.
    pub title: String,
    /// Who published it.
    pub vendor: String,
    /// Version of the product, or year of the text.
    pub edition: String,
    /// When it was last changed, as `YYYY-MM-DD`, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Language, as a BCP 47 tag.
    pub language: String,
    /// The sections that are entered: the document's own anchor, else the heading in lower case with
    /// `_` for blanks.
    pub sections: Vec<String>,
    /// Sections that no flow comes from, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub no_entry: BTreeMap<String, String>,
}

/// What a machine can be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Role {
    /// Stable name within the product.
    pub id: String,
    /// What it is.
    pub name: String,
}

/// A way to deploy the product.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Stable name within the product.
    pub id: String,
    /// What it is.
    pub name: String,
}
