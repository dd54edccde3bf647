//! What there is to try: pure, names have been looked up before.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use catalog::Ports;

use crate::{
    config::Peer,
    expect::{Expectation, Standing},
    observe::{Side, Transport},
    report::{Probe, ProbeResult},
};

/// What is known of the names among the peers: their addresses, or why there are none.
pub type Addresses = BTreeMap<String, Result<Vec<IpAddr>, String>>;

/// An attempt at one port of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// How it ends where there is nothing to connect to.
    pub(super) probe: Probe,
    /// What to connect to.
    pub(super) addresses: Vec<SocketAddr>,
}

/// Expectations that can be tried: this host opens the connection, and it is expected to.
fn outbound(expectations: &[Expectation]) -> impl Iterator<Item = &Expectation> {
    expectations.iter().filter(|expectation| {
        expectation.key.side == Side::Client && expectation.standing == Standing::Expected
    })
}

/// The names of peers that a plan asks for.
pub fn names(expectations: &[Expectation]) -> BTreeSet<&str> {
    let peers = outbound(expectations).filter_map(|expectation| expectation.peers.listed());
    peers
        .flatten()
        .filter_map(|peer| match peer {
            Peer::Name(name) => Some(name.as_str()),
            Peer::Net(_) | Peer::Below(_) => None,
        })
        .collect()
}

/// Every port of every peer of the flows that this host opens.
pub fn plan(expectations: &[Expectation], names: &Addresses) -> Vec<Planned> {
    outbound(expectations).flat_map(|expectation| of_expectation(expectation, names)).collect()
}

fn of_expectation(expectation: &Expectation, names: &Addresses) -> Vec<Planned> {
    let not = |why| vec![end(expectation, None, None, ProbeResult::NotTried, why)];
    if !expectation.transports.contains(&Transport::Tcp) {
        return not("a datagram proves nothing without its answer");
    }
    let Some(peers) = expectation.peers.listed() else {
        return not("the config lists no peers");
    };
    let of_peer =
        |peer| expectation.ports.iter().map(move |ports| at(expectation, peer, *ports, names));
    peers.iter().flat_map(of_peer).collect()
}

fn at(expectation: &Expectation, peer: &Peer, ports: Ports, names: &Addresses) -> Planned {
    let not = |why| end(expectation, Some(peer), None, ProbeResult::NotTried, why);
    let port = match ports {
        _ if !peer.is_machine() => return not("a network, not a machine"),
        Ports::Range { first, last } if first == last => first,
        Ports::Range { .. } => return not("a range of ports"),
        Ports::Dynamic => return not("the document gives no port number"),
    };
    let fails = |why: &str| end(expectation, Some(peer), Some(port), ProbeResult::Failed, why);
    let addresses = match peer {
        Peer::Net(net) => vec![net.addr()],
        Peer::Below(_) => Vec::new(),
        Peer::Name(name) => match names.get(name) {
            Some(Ok(addresses)) => addresses.clone(),
            Some(Err(why)) => return fails(why),
            None => Vec::new(),
        },
    };
    Planned {
        addresses: addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect(),
        ..fails("the name has no address")
    }
}

/// What ends before anything is sent.
fn end(
    expectation: &Expectation,
    peer: Option<&Peer>,
    port: Option<u16>,
    result: ProbeResult,
    why: &str,
) -> Planned {
    let key = &expectation.key;
    let probe = Probe {
        system: key.system.clone(),
        product: key.product.clone(),
        flow: key.flow.clone(),
        peer_group: key.peer_group.clone(),
        peer: peer.map(ToString::to_string),
        port,
        address: None,
        result,
        seconds: None,
        detail: Some(why.to_owned()),
    };
    Planned { probe, addresses: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, expect::expectations};

    /// What is planned of a flow: peer, addresses, and what is said where there are none.
    fn planned(text: &str, flow: &str, names: &Addresses) -> Vec<(String, Vec<String>, String)> {
        let config = config::parse("c.toml", text).unwrap();
        let plan = plan(&expectations(&config), names);
        let of_flow = plan.into_iter().filter(|planned| planned.probe.flow == flow);
        of_flow
            .map(|Planned { probe, addresses }| {
                let addresses = addresses.iter().map(ToString::to_string).collect();
                let end = format!("{}: {}", probe.result.name(), probe.detail.unwrap());
                (probe.peer.unwrap_or_default(), addresses, end)
            })
            .collect()
    }

    #[test]
    fn machines_are_tried_and_nothing_else() {
        const TEXT: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server"]
peers.cluster = ["10.20.0.2", "10.30.0.0/24", "a.example", "b.example", "c.example"]
"#;
        let names: Addresses = [
            (
                "a.example".to_owned(),
                Ok(["10.20.0.3", "fd00::3"].map(|a| a.parse().unwrap()).to_vec()),
            ),
            ("b.example".to_owned(), Ok(Vec::new())),
            ("c.example".to_owned(), Err("SERVFAIL".to_owned())),
        ]
        .into();
        let some = |peer: &str, addresses: &[&str], end: &str| {
            let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
            (peer.to_owned(), addresses, end.to_owned())
        };
        assert_eq!(
            planned(TEXT, "mssql-vdi-11113", &names),
            [
                some("10.20.0.2", &["10.20.0.2:11113"], "failed: the name has no address"),
                some("10.30.0.0/24", &[], "not-tried: a network, not a machine"),
                some(
                    "a.example",
                    &["10.20.0.3:11113", "[fd00::3]:11113"],
                    "failed: the name has no address"
                ),
                some("b.example", &[], "failed: the name has no address"),
                some("c.example", &[], "failed: SERVFAIL"),
            ]
        );
        // What others open is theirs to try.
        assert_eq!(planned(TEXT, "agent-50051", &names), []);
        let open = TEXT.replace("peers.cluster", "#");
        assert_eq!(
            planned(&open, "mssql-vdi-11113", &names),
            [some("", &[], "not-tried: the config lists no peers")]
        );
    }
}
