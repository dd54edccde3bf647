//! What holds of every catalog, not only of the one that is built in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;

fn ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        Just(Ports::Dynamic),
        any::<u16>().prop_map(|port| Ports::Range { first: port, last: port }),
        any::<(u16, u16)>().prop_map(|(first, last)| Ports::Range { first, last }),
    ]
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (any::<u32>(), 0_u32..=32).prop_map(|(bits, prefix)| {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        (IpAddr::V4(Ipv4Addr::from_bits(bits & mask)), prefix)
    });
    let v6 = (any::<u128>(), 0_u32..=128).prop_map(|(bits, prefix)| {
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        (IpAddr::V6(Ipv6Addr::from_bits(bits & mask)), prefix)
    });
    prop_oneof![v4, v6].prop_map(|(address, prefix)| format!("{address}/{prefix}").parse().unwrap())
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (option::of(".*"), vec(network(), 0..3), option::of(".*"), any::<bool>()).prop_map(
        |(name, addresses, role, minimum)| Endpoint {
            name,
            addresses,
            role,
            section: None,
            scenarios: Vec::new(),
            minimum,
        },
    )
}

fn source() -> impl Strategy<Value = Source> {
    let headings = [None, Some(Heading::Incoming), Some(Heading::Bidirectional)];
    (".*", ".*", select(headings.to_vec()), option::of(".*"), vec(ports(), 0..3), vec(".*", 0..3))
        .prop_map(|(document, section, direction, traffic, ports, from)| Source {
            document,
            section,
            direction,
            traffic,
            from,
            to: Vec::new(),
            transport: Vec::new(),
            ports,
            scenarios: Vec::new(),
            doubt: None,
            reading: None,
        })
}

/// A flow of the catalog with much of it replaced by anything.
fn flow() -> impl Strategy<Value = Flow> {
    let flows: Vec<Flow> =
        bundled().products.iter().flat_map(|product| product.flows.clone()).collect();
    let texts = (".*", vec(".*", 0..4), option::of(".*"));
    let lists = (vec(ports(), 0..5), vec(endpoint(), 0..4), vec(source(), 0..4));
    (select(flows), texts, lists, any::<[bool; 5]>()).prop_map(
        |(flow, (purpose, roles, condition), (ports, endpoints, sources), flags)| Flow {
            purpose,
            condition,
            ports,
            endpoints,
            from: roles,
            sources,
            backup_data: flags[0],
            daily: flags[4],
            firewall: flags[1],
            by_name: flags[2],
            same_host: flags[3],
            ..flow
        },
    )
}

proptest! {
    #[test]
    fn catalog_to_toml_and_back_is_the_identity(
        index in 0..FILES.len(),
        flows in vec(flow(), 0..6),
        name in ".*",
    ) {
        let product = Product { name, flows, ..bundled().products[index].clone() };
        let text = toml::to_string(&product).unwrap();
        prop_assert_eq!(toml::from_str::<Product>(&text).unwrap(), product);
    }
}
