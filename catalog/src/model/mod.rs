//! What a product's file says.

mod endpoint;
mod flow;
mod ports;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use endpoint::{AddressError, Endpoint, Network};
pub use flow::{
    AddressKind, AddressedBy, Application, Changeable, Flow, Heading, Moment, Replaces,
    Requirement, Source,
};
pub use ports::{Ports, PortsError, Transport};

/// One documented backup product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Product {
    /// Stable name of the product, in lower case with dashes.
    pub id: String,
    /// The vendor's name of the product.
    pub name: String,
    /// The documents that the flows come from.
    #[serde(rename = "document")]
    pub documents: Vec<Document>,
    /// What machines are in the documents.
    #[serde(rename = "role")]
    pub roles: Vec<Role>,
    /// Ways to deploy the product that need different flows; a system is in exactly one of them.
    #[serde(rename = "scenario", default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
    /// What is switched on or off in the product and changes the flows.
    #[serde(rename = "option", default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<ProductOption>,
    /// The documented flows.
    #[serde(rename = "flow")]
    pub flows: Vec<Flow>,
}

/// One edition of a vendor's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// Sections that stand for others, which they refer to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refers: BTreeMap<String, Vec<String>>,
}

/// What a machine can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Role {
    /// Stable name within the product.
    pub id: String,
    /// What it is.
    pub name: String,
    /// The role that the document means by this other name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Roles that such a machine plays too, as the documents say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<String>,
    /// By which of its addresses it connects, where a flow does not say; its interfaces decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressKind>,
}

/// A way to deploy the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// Stable name within the product.
    pub id: String,
    /// What it is.
    pub name: String,
}

/// Something in the product that is off unless the config says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProductOption {
    /// Stable name within the product.
    pub id: String,
    /// What is the case when it is on.
    pub name: String,
}
