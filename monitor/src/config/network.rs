//! Who the peers are, and which service ports differ from the documented ones.

use std::collections::BTreeMap;

use catalog::{Ports, Product};

use super::choice::{role_ids, unknown};
use super::log::{At, Log};
use super::peer::{self, Peer};
use super::{words, written};

pub(super) fn mean_peers(
    system: &written::System,
    product: Option<&Product>,
    log: &mut Log<'_>,
) -> Option<BTreeMap<String, Vec<Peer>>> {
    let mut peers = BTreeMap::new();
    let mut is_whole = true;
    for (role, list) in &system.peers {
        if let Some(product) = product
            && product.role(&role.value).is_none()
        {
            unknown(role, "role", product, role_ids(product), log);
            is_whole = false;
        }
        let mut meant = Vec::new();
        for written in list {
            match peer::parse(&written.value) {
                Ok(peer) if meant.contains(&peer) => {
                    let message = format!("{} stands here twice", words::quote(&written.value));
                    log.fault(&written.place, message, None);
                }
                Ok(peer) => meant.push(peer),
                Err(no_peer) => {
                    let message = format!("{} {}", words::quote(&written.value), no_peer.why);
                    log.fault(&written.place, message, no_peer.help);
                }
            }
        }
        is_whole &= !meant.is_empty() && meant.len() == list.len();
        peers.insert(role.value.clone(), meant);
    }
    is_whole.then_some(peers)
}

pub(super) fn mean_ports(
    system: &written::System,
    product: Option<&Product>,
    log: &mut Log<'_>,
) -> Option<BTreeMap<String, u16>> {
    let mut ports = BTreeMap::new();
    for (id, number) in &system.ports {
        if let Some(product) = product {
            check_single_port(id, product, log);
        }
        match u16::try_from(number.value) {
            Ok(port) if port > 0 => {
                ports.insert(id.value.clone(), port);
            }
            _ => {
                let message = format!("{} is no port, expected 1 to 65535", number.value);
                log.fault(&number.place, message, None);
            }
        }
    }
    (ports.len() == system.ports.len()).then_some(ports)
}

/// One number takes the place of one documented port, or of one without a number. Whether the document tells of a setting for it
/// does not matter: who changes a port knows how.
fn check_single_port(id: &At<String>, product: &Product, log: &mut Log<'_>) {
    let is_single = |ports: &[Ports]| match ports {
        [Ports::Range { first, last }] => first == last,
        [Ports::Dynamic] => true,
        _ => false,
    };
    match product.flow(&id.value) {
        None => {
            unknown(id, "flow", product, product.flows.iter().map(|flow| flow.id.as_str()), log);
        }
        Some(flow) if !is_single(&flow.ports) => {
            let message = format!("flow `{}` does not have just one port", flow.id);
            log.fault(&id.place, message, None);
        }
        Some(_) => {}
    }
}
