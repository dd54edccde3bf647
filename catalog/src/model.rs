//! What a product's file says.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// One documented backup product.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Ways to deploy the product that need different flows.
    #[serde(rename = "scenario", default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
    /// The documented flows.
    #[serde(rename = "flow")]
    pub flows: Vec<Flow>,
}

/// One edition of a vendor's text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Document {
    /// Stable name of the edition.
    pub id: String,
    /// Title.
    pub title: String,
    /// Who published it.
    pub vendor: String,
    /// Version of the product or years of the text.
    pub edition: String,
    /// When it was last changed, as `YYYY-MM-DD`, where it says so.
    pub date: Option<String>,
    /// Language, as a BCP 47 tag.
    pub language: String,
    /// The sections that were entered.
    pub sections: Vec<Section>,
}

/// A part of a document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Section {
    /// The document's own anchor, else its heading in lower case with `_` for blanks.
    pub id: String,
    /// Why no flow comes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_flow: Option<String>,
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

/// Traffic that a document says must or may flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Flow {
    /// Stable name within the product.
    pub id: String,
    /// Roles that open the connection.
    pub from: Vec<String>,
    /// Roles that are connected to.
    pub to: Vec<String>,
    /// Transports; more than one where the document allows each.
    pub transport: Vec<Transport>,
    /// Destination ports.
    pub ports: Vec<Ports>,
    /// How the document puts it.
    pub requirement: Requirement,
    /// When the flow is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Scenarios in which it is needed; all of them where there are none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<String>,
    /// The document's kind of traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// What the flow is for, in our words.
    pub purpose: String,
    /// It carries the data of backups, so that it has to be seen when backups run.
    #[serde(default)]
    pub backup_data: bool,
    /// The setting that changes the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changeable: Option<Changeable>,
    /// Another flow that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// Name of a group of flows of which one is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<String>,
    /// Every machine of the other role must be reachable, not just any.
    #[serde(default)]
    pub every_member: bool,
    /// The flow never leaves the machine.
    #[serde(default)]
    pub same_host: bool,
    /// The other end connects back on the same port.
    #[serde(default)]
    pub both_ways: bool,
    /// The moment at which alone the flow is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<String>,
    /// The version or edition from which on the flow exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// A firewall between the ends has to let it through.
    #[serde(default = "yes")]
    pub firewall: bool,
    /// It breaks where TLS is opened on the way.
    #[serde(default)]
    pub no_tls_inspection: bool,
    /// The peer has to be addressed by name, since its address may change.
    #[serde(default)]
    pub by_name: bool,
    /// Where the document says that the peers are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Another section whose rules hold too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub see_also: Option<String>,
    /// Where the documents say so.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

const fn yes() -> bool {
    true
}

/// A port that a setting changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Changeable {
    /// The setting, as the product calls it.
    pub setting: String,
    /// Both ends have to have the same number.
    #[serde(default)]
    pub same_at_both_ends: bool,
}

/// A flow that takes the place of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Replaces {
    /// Id of the flow that goes.
    pub flow: String,
    /// When it does.
    pub when: String,
}

/// A machine or network that a document names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Endpoint {
    /// A host name, or `*.domain` for all below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address, or a network, as the document gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Which end it is, where the flow has more than one role there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The least that has to be open now; others may follow.
    #[serde(default)]
    pub minimum: bool,
}

impl Endpoint {
    /// What identifies it: the name where it has one, else the address.
    pub fn label(&self) -> &str {
        self.name.as_deref().or(self.address.as_deref()).unwrap_or("-")
    }
}

/// Where a document says something.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// Id of the document.
    pub document: String,
    /// Id of the section.
    pub section: String,
    /// The direction that the section's heading gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<Heading>,
    /// What is not clear in the text, and how it is read here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// The direction in a heading, seen from the product's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heading {
    /// To the server.
    Incoming,
    /// From the server.
    Outgoing,
    /// Both.
    Bidirectional,
}

/// A transport with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// How a document puts the need for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// It must be open.
    Required,
    /// It must be open under a condition.
    Conditional,
    /// Something useful fails without it.
    Optional,
    /// It exists and needs nobody to open anything.
    NotRequired,
    /// Only older versions use it.
    Legacy,
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Required => "required",
            Self::Conditional => "conditional",
            Self::Optional => "optional",
            Self::NotRequired => "not-required",
            Self::Legacy => "legacy",
        })
    }
}

/// Destination ports: `2548`, `"135-139"` or `"dynamic"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// From the first to the last one, which may be the same.
    Range {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// A port that the document gives no number for.
    Dynamic,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { first, last } if first == last => write!(f, "{first}"),
            Self::Range { first, last } => write!(f, "{first}-{last}"),
            Self::Dynamic => f.write_str("dynamic"),
        }
    }
}

impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Range { first, last } if first == last => serializer.serialize_u16(*first),
            Self::Range { .. } | Self::Dynamic => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Text(String),
        }
        let wrong = |text: &str| {
            D::Error::custom(format!(
                "{text:?} is no port, no range like \"135-139\" and not \"dynamic\""
            ))
        };
        match Written::deserialize(deserializer)? {
            Written::Number(port) => Ok(Self::Range { first: port, last: port }),
            Written::Text(text) if text == "dynamic" => Ok(Self::Dynamic),
            Written::Text(text) => {
                let (first, last) = text.split_once('-').ok_or_else(|| wrong(&text))?;
                match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) => Ok(Self::Range { first, last }),
                    _ => Err(wrong(&text)),
                }
            }
        }
    }
}
