//! The machines and networks that a document names.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A machine or network that a document names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Endpoint {
    /// A host name, or `*.domain` for every host below the domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The addresses that the name had when the document was written, or the network itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Network>,
    /// The role it plays, where the flow has several at that end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The section that names it, where not all of the flow's do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The scenarios it belongs to; empty for those of the flow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<String>,
    /// The least that a stricter firewall lets through; the vendor may add others later.
    #[serde(default)]
    pub minimum: bool,
}

impl Endpoint {
    /// What identifies it: the name, or the network where it has none; empty if it has neither.
    pub fn label(&self) -> String {
        match (&self.name, self.addresses.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(network)) => network.to_string(),
            (None, None) => String::new(),
        }
    }
}

/// An address, or all addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Its first address.
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share: 0 to 32 (IPv4) or to 128 (IPv6).
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is a single address.
    pub const fn is_host(self) -> bool {
        self.prefix == bits(self.address)
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// A text is not a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is neither an address nor an address, a slash and a length.
    #[error("{text:?} is no address and no network such as 10.0.82.0/24")]
    Syntax {
        /// What was written.
        text: String,
    },
    /// Bits after the prefix are set, so that either the address or the length is wrong.
    #[error("{text} has bits set after its prefix")]
    HostBits {
        /// What was written.
        text: String,
    },
}

impl FromStr for Network {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let syntax = || AddressError::Syntax { text: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_error| syntax())?;
        let prefix = match prefix {
            None => bits(address),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_error| syntax())?
            }
            Some(_) => return Err(syntax()),
        };
        if prefix > bits(address) {
            return Err(syntax());
        }
        let is_clean = match address {
            IpAddr::V4(v4) => v4.to_bits().checked_shl(prefix.into()).unwrap_or(0) == 0,
            IpAddr::V6(v6) => v6.to_bits().checked_shl(prefix.into()).unwrap_or(0) == 0,
        };
        if is_clean {
            Ok(Self { address, prefix })
        } else {
            Err(AddressError::HostBits { text: text.to_owned() })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.is_host() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An address, or a network such as `10.0.82.0/24`.",
            "type": "string",
            "pattern": "^[0-9a-f.:]+(/[0-9]{1,3})?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn networks_are_printed_as_written() {
        for text in ["10.0.82.12", "10.0.0.0/8", "0.0.0.0/0", "fd00:20::/64", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.82.12/32".parse::<Network>().unwrap().to_string(), "10.0.82.12");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, message) in [
            ("10.0.82", "is no address"),
            ("10.0.82.0/33", "is no address"),
            ("10.0.82.0/", "is no address"),
            ("10.0.82.0/+8", "is no address"),
            ("10.0.82.12/24", "has bits set"),
            ("fd00:20::1/64", "has bits set"),
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
