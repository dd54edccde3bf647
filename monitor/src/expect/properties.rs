//! What holds of the expectations of every config.

use std::collections::BTreeMap;

use catalog::Product;
use ipnet::{IpNet, Ipv4Net};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

use super::*;
use crate::config::{Config, Kernel, Probe, State, Status, System, Web};

fn ids(ids: impl Iterator<Item: AsRef<str>>) -> Vec<String> {
    ids.map(|id| id.as_ref().to_owned()).collect()
}

/// Any subset, which may be empty.
fn some_of(ids: Vec<String>) -> impl Strategy<Value = Vec<String>> {
    let all = ids.len();
    subsequence(ids, 0..=all)
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        any::<[u8; 4]>()
            .prop_map(|bytes| Peer::Net(IpNet::V4(Ipv4Net::from(std::net::Ipv4Addr::from(bytes))))),
        "[a-z]{1,8}\\.example".prop_map(Peer::Name),
    ]
}

/// A system with any roles, sections, options, ports and peers of its product, sensible or not.
fn system() -> impl Strategy<Value = System> {
    let products: Vec<&'static Product> = catalog::bundled().products.iter().collect();
    select(products).prop_flat_map(|product| {
        let roles = ids(product.roles.iter().map(|role| &role.id));
        let sections: Vec<String> = product.sections().map(str::to_owned).collect();
        let scenarios = ids(product.scenarios.iter().map(|scenario| &scenario.id));
        let options = ids(product.options.iter().map(|option| &option.id));
        let flows = ids(product.flows.iter().map(|flow| &flow.id));
        let scenario = if scenarios.is_empty() {
            Just(None).boxed()
        } else {
            option::of(select(scenarios)).boxed()
        };
        let declared = vec((select(roles.clone()), vec(peer(), 1..4)), 0..5);
        let ports = vec((select(flows), 1..=u16::MAX), 0..3);
        (some_of(roles), some_of(sections), scenario, some_of(options), declared, ports).prop_map(
            move |(roles, sections, scenario, options, peers, ports)| System {
                name: "s".to_owned(),
                product,
                roles,
                sections,
                scenario,
                options,
                peers: BTreeMap::from_iter(peers),
                ports: BTreeMap::from_iter(ports),
                expect: Vec::new(),
            },
        )
    })
}

proptest! {
    #[test]
    fn expectations_of_any_roles_and_peers_are_told_apart(system in system()) {
        let roles = system.product.with_included(&system.roles);
        let peers = system.peers.clone();
        let config = Config {
            systems: vec![system.clone()],
            web: Web::default(),
            status: Status::default(),
            kernel: Kernel::default(),
            state: State::default(),
            probe: Probe::default(),
        };
        let expectations = expectations(&config);
        let keys: BTreeSet<&Key> = expectations.iter().map(|expectation| &expectation.key).collect();
        prop_assert_eq!(keys.len(), expectations.len());
        for expectation in &expectations {
            let flow = system.product.flow(&expectation.key.flow).unwrap();
            let takes_part = flow.from.iter().chain(&flow.to).any(|role| roles.contains(role.as_str()));
            prop_assert!(takes_part, "{}", expectation.key);
            prop_assert!(!expectation.ports.is_empty() && !expectation.transports.is_empty());
            let group = &expectation.key.peer_group;
            match peers.get(group) {
                Some(declared) => prop_assert_eq!(&expectation.peers, &Peers::Declared(declared.clone())),
                None => prop_assert!(!matches!(expectation.peers, Peers::Declared(_))),
            }
        }
    }
}
