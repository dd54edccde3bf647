//! Evidence, what is proposed for it, and whether that is a config.

mod hosts;
mod properties;
mod quiet;
mod words;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::{Evidence, Listener, Proposal, Seen, Undecided, proposals, render, shared};
use crate::{
    config,
    observe::{FlowId, Side, Transport},
};

impl Evidence {
    fn listening(mut self, port: u16, process: &str) -> Self {
        let process = (!process.is_empty()).then(|| process.to_owned());
        let address = format!("0.0.0.0:{port}").parse().unwrap();
        self.listeners.push(Listener { transport: Transport::Tcp, address, process });
        self
    }

    fn flow(mut self, side: Side, service_port: u16, peer: &str) -> Self {
        let peer: IpAddr = peer.parse().unwrap();
        let loopback = peer.is_loopback();
        let id = FlowId { service_port, transport: Transport::Tcp, side, loopback, peer };
        self.flows
            .entry(id)
            .or_insert(Seen { connections: 0, opened: 0, packets: 0 })
            .connections += 1;
        self
    }

    fn connected_to(self, port: u16, peer: &str) -> Self {
        self.flow(Side::Client, port, peer)
    }

    fn connected_from(self, port: u16, peer: &str) -> Self {
        self.flow(Side::Server, port, peer)
    }
}

fn host() -> Evidence {
    Evidence::default().listening(22, "sshd")
}

/// The only system, after the config that it makes was read.
fn only(evidence: &Evidence) -> Proposal {
    let proposals = proposals(evidence);
    reads(evidence, &proposals);
    let [proposal] = <[Proposal; 1]>::try_from(proposals).unwrap();
    proposal
}

/// The printed config is one, and says what the proposals say.
fn reads(evidence: &Evidence, proposals: &[Proposal]) -> String {
    let text = render(evidence, proposals);
    let config =
        config::parse("suggested.toml", &text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert_eq!(config.systems.len(), proposals.len());
    for (system, proposal) in config.systems.iter().zip(proposals) {
        assert_eq!(system.product.id, proposal.product);
        assert_eq!(system.roles, roles(proposal));
        assert_eq!(system.scenario, proposal.scenario);
        let options: Vec<&str> =
            proposal.options.iter().map(|option| option.option.as_str()).collect();
        assert_eq!(system.options, options);
        let written: BTreeMap<String, Vec<String>> = system
            .peers
            .iter()
            .map(|(role, peers)| (role.clone(), peers.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(written, peers(proposal));
    }
    text
}

fn roles(proposal: &Proposal) -> Vec<&str> {
    proposal.roles.iter().map(|role| role.role.as_str()).collect()
}

fn peers(proposal: &Proposal) -> BTreeMap<String, Vec<String>> {
    proposal
        .peers
        .iter()
        .map(|(role, machines)| (role.clone(), machines.keys().map(ToString::to_string).collect()))
        .collect()
}

fn groups(groups: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    groups.iter().map(|(role, machines)| ((*role).to_owned(), strings(machines))).collect()
}
