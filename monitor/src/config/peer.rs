//! The machines on the other side: an address, a network or a host name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// A machine, or a network of them, that plays a role of the product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// An address, as a network of one, or a prefix without host bits. IPv4 written as mapped IPv6 is IPv4 here.
    Net(IpNet),
    /// A host name in lower case, without a final dot.
    Name(String),
    /// Every host below a domain, in lower case. Only documents name some, no config.
    Below(String),
}

impl Peer {
    /// Whether it is one machine, not many.
    pub fn is_machine(&self) -> bool {
        match self {
            Self::Net(net) => net.prefix_len() == net.max_prefix_len(),
            Self::Name(_) => true,
            Self::Below(_) => false,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Why a text names no peer: the message's end, after the text itself, and the help.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoPeer {
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl NoPeer {
    fn new(why: impl Into<String>, help: impl Into<String>) -> Self {
        Self { why: why.into(), help: Some(help.into()) }
    }
}

/// An address, a prefix or a host name; what looks like one and is not is never taken for another.
pub(super) fn parse(text: &str) -> Result<Peer, NoPeer> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return parse_address(address);
    }
    if text.contains("://") {
        return Err(NoPeer::new("is a URL", "write the host's name or address alone"));
    }
    if let Some((address, length)) = text.split_once('/') {
        return parse_prefix(address, length);
    }
    if let Some((address, _)) = text.split_once('%') {
        let help = format!("write `{address}` without the zone");
        let is_address = address.parse::<IpAddr>().is_ok();
        return Err(if is_address {
            NoPeer::new("has a zone", help)
        } else {
            not_a_name("holds `%`")
        });
    }
    if text.contains(':') {
        return Err(not_with_colon(text));
    }
    parse_name(text).map(Peer::Name)
}

fn parse_address(address: IpAddr) -> Result<Peer, NoPeer> {
    let address = address.to_canonical();
    if address.is_unspecified() {
        let any = if address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let help = format!("for every address, write `{any}`");
        return Err(NoPeer::new("is no machine's address", help));
    }
    Ok(Peer::Net(IpNet::from(address)))
}

fn parse_prefix(address: &str, length: &str) -> Result<Peer, NoPeer> {
    let Ok(address) = address.parse::<IpAddr>() else {
        let help = "write a network as `10.20.0.0/24` or `fd00:20::/64`";
        return Err(NoPeer::new("is not a network", help));
    };
    let (family, most) = match address {
        IpAddr::V4(_) => ("IPv4", 32_u8),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let number = length.parse::<u8>().ok().filter(|_| is_number);
    let Some(net) = number.and_then(|length| IpNet::new(address, length).ok()) else {
        let help = format!("the prefix length of an {family} network is 0 to {most}");
        return Err(NoPeer::new("has no such prefix length", help));
    };
    let net = unmapped(net);
    if net.trunc() != net {
        let (network, address) = (net.trunc(), net.addr());
        let help = format!("the network is `{network}`; the machine alone is `{address}`");
        return Err(NoPeer::new("has host bits set", help));
    }
    Ok(Peer::Net(net))
}

/// A network of IPv4 addresses written as IPv6 is the IPv4 network, since the traffic is IPv4.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else {
        return net;
    };
    let v4: Option<Ipv4Addr> = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(96);
    let v4 = v4.zip(length).and_then(|(v4, length)| Ipv4Net::new(v4, length).ok());
    v4.map_or(net, IpNet::V4)
}

fn not_with_colon(text: &str) -> NoPeer {
    match without_port(text) {
        Some(host) => NoPeer::new(
            "has a port, and a peer has none",
            format!("write `{host}`; ports come from the catalog, and from `ports` where changed"),
        ),
        None => NoPeer::new("is not an IPv6 address", "write it as `fd00:20::1`"),
    }
}

/// The host of `host:port` or `[address]:port`.
fn without_port(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().ok().map(|_| address);
    }
    let is_host = host.parse::<Ipv4Addr>().is_ok() || parse_name(host).is_ok();
    is_host.then_some(host)
}

/// A host name by RFC 1123, in lower case.
fn parse_name(text: &str) -> Result<String, NoPeer> {
    if text.is_empty() {
        return Err(not_a_name("is empty"));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return Err(not_a_name("is longer than 253 characters"));
    }
    if text == "*" {
        let help = "for every address, write `0.0.0.0/0` and `::/0`";
        return Err(NoPeer::new("is not a host name", help));
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.')) {
        let c = c.escape_debug();
        return Err(not_a_name(format!("is not a host name: it holds `{c}`")));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            let why = "is not a host name: between dots stand 1 to 63 characters";
            return Err(not_a_name(why));
        }
        if label.starts_with('-') || label.ends_with('-') {
            let why = "is not a host name: a label neither starts nor ends with `-`";
            return Err(not_a_name(why));
        }
    }
    // No top-level domain is a number, so this was meant as an address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        let help = "an IPv4 address is four numbers from 0 to 255, without leading zeros";
        return Err(NoPeer::new("is not an IPv4 address", help));
    }
    Ok(name.to_ascii_lowercase())
}

fn not_a_name(why: impl Into<String>) -> NoPeer {
    NoPeer::new(why, "write an address, a network or a host name of letters, digits, `-` and `.`")
}
