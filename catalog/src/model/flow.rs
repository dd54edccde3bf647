//! A documented flow and its parts.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Ports, Transport};

/// Traffic that a document says must or may flow.
///
/// Every role in `from` talks to every role in `to`, on every port and transport listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Flow {
    /// Stable name within the product.
    pub id: String,
    /// Roles that open the connection.
    pub from: Vec<String>,
    /// Roles that are connected to.
    pub to: Vec<String>,
    /// Transports.
    pub transport: Vec<Transport>,
    /// Destination ports.
    pub ports: Vec<Ports>,
    /// The protocol above the transport, where the document names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
    /// How strongly the documents ask for it.
    pub requirement: Requirement,
    /// When the flow is used at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What stops working when the flow is blocked, where that is less than everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// Scenarios in which it is used; empty for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<String>,
    /// What the flow is for.
    pub purpose: String,
    /// It carries the data of backups, so it is seen whenever a backup runs.
    #[serde(default)]
    pub backup_data: bool,
    /// Every backup of the regular job goes this way, so it is seen each day that one runs.
    #[serde(default)]
    pub daily: bool,
    /// How the port is changed, where the document says that it can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changeable: Option<Changeable>,
    /// Id of the option without which the flow is not used at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// Another flow that this one takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
    /// Name of a group of flows of which one is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<String>,
    /// Every machine of the other role must be reachable, not just any.
    #[serde(default)]
    pub every_member: bool,
    /// The flow never leaves the machine.
    #[serde(default)]
    pub same_host: bool,
    /// The port has to be open at both ends: `to` connects to `from` as well.
    #[serde(default)]
    pub both_ways: bool,
    /// Datagrams that need no answer: that none comes says nothing of whether they arrive.
    #[serde(default)]
    pub one_way: bool,
    /// Datagrams to every machine of the role at once, by a multicast or broadcast address; they need no
    /// answer either.
    #[serde(default)]
    pub multicast: bool,
    /// The moment to which the flow is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moment: Option<Moment>,
    /// The version or edition of the product that brought the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Whether a firewall between the ends needs a rule for it.
    #[serde(default = "yes")]
    pub firewall: bool,
    /// An open port is not enough: nothing on the way may open up TLS.
    #[serde(default)]
    pub no_tls_inspection: bool,
    /// The peer is always addressed by its name, since its address may change.
    #[serde(default)]
    pub by_name: bool,
    /// Which of its addresses a role of several uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addressed_by: Vec<AddressedBy>,
    /// The machines and networks that the documents name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Where the documents say so.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

const fn yes() -> bool {
    true
}

/// How strongly a document asks for a flow.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// It must be open.
    Required,
    /// It must be open under a condition.
    Conditional,
    /// Something minor fails without it.
    Optional,
    /// It exists, and nobody has to open anything for it.
    NotRequired,
    /// Only old versions use it.
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

/// A protocol above the transport, as the documents name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Application {
    /// The protocol between a web server and Tomcat, which is not encrypted.
    Ajp,
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
    /// Network File System.
    Nfs,
}

/// The port can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Changeable {
    /// The setting, as the product calls it.
    pub setting: String,
    /// Both ends must be set to the same number.
    #[serde(default)]
    pub same_at_both_ends: bool,
}

/// A flow takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Replaces {
    /// Id of the flow that falls away.
    pub flow: String,
    /// Id of the option with which it does.
    pub option: String,
}

/// What is going on while a flow is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Agents are installed from a distance.
    PushInstall,
    /// A cluster is created or gets another node.
    ClusterSetup,
    /// The product joins a directory.
    DirectoryJoin,
    /// Software is upgraded or patched.
    Upgrade,
    /// Data is recovered.
    Recovery,
    /// Support looks into a fault.
    Support,
}

/// Which of its addresses a role uses in a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddressedBy {
    /// The role, one of the flow's.
    pub role: String,
    /// The kinds of address; with several, its interfaces decide which.
    pub kinds: Vec<AddressKind>,
}

/// A kind of address of a machine in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// A node's own address.
    Node,
    /// A virtual address (VIP), which moves between nodes.
    Virtual,
    /// An address in a VLAN.
    Vlan,
}

/// Where a document says something, how it is read here, and what is doubtful about that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Source {
    /// Id of the document.
    pub document: String,
    /// Id of the section.
    pub section: String,
    /// The direction that the heading above the entry gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Heading>,
    /// The document's type of traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// Those of the flow's `from` that this section speaks of; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Those of the flow's `to` that this section speaks of; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Those of the flow's transports that this section speaks of; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transport: Vec<Transport>,
    /// Those of the flow's ports that this section speaks of; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Ports>,
    /// Those of the flow's scenarios that this section speaks of; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<String>,
    /// What is unclear in the text, or contradicts another part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// How the flow is entered in spite of the doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<String>,
}

/// The direction in a heading, seen from the product's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Heading {
    /// To the server.
    Incoming,
    /// From the server.
    Outgoing,
    /// Both.
    Bidirectional,
}
