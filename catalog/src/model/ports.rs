//! Transports and ports.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

/// A transport with ports.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
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

/// Destination ports, written `2548`, `"135-139"` or `"dynamic"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// From the first to the last one, both included; the same for a single port.
    Range {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// A port that the document gives no number for.
    Dynamic,
}

/// A text is not [`Ports`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no port, no range such as 135-139, and not dynamic")]
pub struct PortsError {
    text: String,
}

impl FromStr for Ports {
    type Err = PortsError;

    /// Reads digits, two of them with a dash between, or `dynamic`.
    fn from_str(text: &str) -> Result<Self, PortsError> {
        if text == "dynamic" {
            return Ok(Self::Dynamic);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (number(first), number(last)) {
            (Some(first), Some(last)) => Ok(Self::Range { first, last }),
            _ => Err(PortsError { text: text.to_owned() }),
        }
    }
}

/// Digits only: `u16::from_str` takes a plus sign too.
fn number(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
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
        struct PortsVisitor;

        impl Visitor<'_> for PortsVisitor {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535, a range such as \"135-139\", or \"dynamic\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ports, E> {
                let port = u16::try_from(number)
                    .map_err(|_error| E::invalid_value(Unexpected::Signed(number), &self))?;
                Ok(Ports::Range { first: port, last: port })
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Ports, E> {
                let port = u16::try_from(number)
                    .map_err(|_error| E::invalid_value(Unexpected::Unsigned(number), &self))?;
                Ok(Ports::Range { first: port, last: port })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ports, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(PortsVisitor)
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A destination port, a range such as `135-139`, or `dynamic` for a port without a number.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "pattern": "^([0-9]{1,5}(-[0-9]{1,5})?|dynamic)$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Ports;

    #[derive(Deserialize)]
    struct Line {
        ports: Vec<Ports>,
    }

    #[test]
    fn ports_are_printed_as_written() {
        let line: Line = toml::from_str("ports = [2548, \"135-139\", \"dynamic\", \"7\"]").unwrap();
        let printed: Vec<String> = line.ports.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["2548", "135-139", "dynamic", "7"]);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for wrong in ["70000", "-1", "\"\"", "\"1-\"", "\"+1\"", "\"1 - 2\"", "\"any\"", "1.5"] {
            let error = toml::from_str::<Line>(&format!("ports = [{wrong}]"));
            let message = error.err().map(|error| error.message().to_owned());
            assert!(message.is_some_and(|message| message.contains("135-139")), "{wrong}");
        }
    }
}
