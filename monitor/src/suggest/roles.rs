//! Which roles explain what is seen.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use catalog::{Product, Requirement, Role};

use super::{
    ports::{Port, Use},
    strength::{Strength, strength},
};
use crate::{
    config::System,
    expect::{Expectation, of_system},
    observe::Side,
};

/// The ports that are used.
pub(super) type Uses = BTreeMap<Port, Use>;

/// A role, and what would be expected of a host with it.
pub(super) struct Candidate {
    pub(super) role: &'static Role,
    expectations: Vec<Expectation>,
    /// The used ports that it explains.
    explains: BTreeSet<Port>,
    /// Ports that would listen if the host had the role, and how many of them do.
    due: BTreeSet<u16>,
    listening: usize,
}

/// The roles that were chosen, in the order of how much they explain.
pub(super) struct Choice {
    pub(super) roles: Vec<&'static Role>,
    /// Other roles that explain what the first one was chosen for.
    pub(super) alternatives: Vec<&'static Role>,
    /// The telling ports that are explained.
    pub(super) explained: BTreeSet<Port>,
    /// All of them are usual ports of other software.
    pub(super) is_shared: bool,
}

/// A product as this host would take part in it.
pub(super) fn system(
    product: &'static Product,
    roles: &[&Role],
    scenario: Option<&str>,
    options: Vec<String>,
) -> System {
    System {
        name: product.id.clone(),
        product,
        roles: roles.iter().map(|role| role.id.clone()).collect(),
        sections: Vec::new(),
        scenario: scenario.map(str::to_owned),
        options,
        peers: BTreeMap::new(),
        ports: BTreeMap::new(),
        expect: Vec::new(),
    }
}

/// Every role that explains something and is not contradicted.
fn candidates(product: &'static Product, scenario: Option<&str>, uses: &Uses) -> Vec<Candidate> {
    let candidate = |role| {
        let expectations = of_system(&system(product, &[role], scenario, Vec::new()));
        Candidate::new(product, role, expectations, uses)
    };
    let mut candidates: Vec<Candidate> = product.roles.iter().map(candidate).collect();
    candidates.retain(|candidate| !candidate.explains.is_empty() && candidate.is_plausible());
    candidates
}

impl Candidate {
    fn new(
        product: &Product,
        role: &'static Role,
        expectations: Vec<Expectation>,
        uses: &Uses,
    ) -> Self {
        let is_explained = |(port, used): &(&Port, &Use)| {
            expectations.iter().any(|expectation| port.is_expected(used, expectation))
        };
        let explains: BTreeSet<Port> =
            uses.iter().filter(is_explained).map(|(port, _)| *port).collect();
        let is_due = |expectation: &&Expectation| {
            let at_moments = product.flow(&expectation.key.flow).and_then(|flow| flow.moment);
            expectation.key.side == Side::Server
                && expectation.requirement == Requirement::Required
                && expectation.alternatives.is_none()
                && at_moments.is_none()
        };
        let due: BTreeSet<u16> = expectations.iter().filter(is_due).flat_map(numbers).collect();
        let listens = |port: &&u16| {
            explains.iter().any(|used| used.side == Side::Server && used.port == **port)
        };
        let listening = due.iter().filter(listens).count();
        Self { role, expectations, explains, due, listening }
    }

    /// Ports that would listen and do not.
    fn missing(&self) -> usize {
        self.due.len() - self.listening
    }

    /// Whether at most one of the ports that would listen is missing, or three quarters of them.
    fn is_plausible(&self) -> bool {
        self.missing() <= 1 || self.listening * 4 >= self.due.len()
    }

    fn explained(&self, ports: &BTreeSet<Port>) -> usize {
        self.explains.intersection(ports).count()
    }

    /// The used ports that it explains, those too that other software uses.
    fn explained_in_all(&self) -> usize {
        self.explains.iter().filter(|port| strength(port.port) > Strength::Weak).count()
    }

    /// How many of the others are this role and more.
    fn included_by(&self, product: &Product, others: &[Self]) -> usize {
        others
            .iter()
            .filter(|other| {
                let all = product.with_included(std::slice::from_ref(&other.role.id));
                other.role.id != self.role.id && all.contains(self.role.id.as_str())
            })
            .count()
    }

    /// Whether ports that other software uses too are enough for the role: several of them, one that
    /// carries the backups, one that this host connects to, and none that does not listen and should.
    fn is_shown_by_shared_ports(
        &self,
        product: &Product,
        uses: &Uses,
        ports: &BTreeSet<Port>,
    ) -> bool {
        let seen: Vec<&Port> = self.explains.intersection(ports).collect();
        let numbers: BTreeSet<u16> = seen.iter().map(|port| port.port).collect();
        let carries_backups = |port: &&Port| {
            self.expectations.iter().any(|expectation| {
                uses.get(port).is_some_and(|used| port.is_expected(used, expectation))
                    && product.flow(&expectation.key.flow).is_some_and(|flow| flow.backup_data)
            })
        };
        numbers.len() > 1
            && self.missing() == 0
            && seen.iter().any(|port| port.side == Side::Client)
            && seen.iter().copied().any(|port| carries_backups(&port))
    }
}

/// The single ports of an expectation that tell something.
fn numbers(expectation: &Expectation) -> Vec<u16> {
    let mut numbers = Vec::new();
    for ports in &expectation.ports {
        if let catalog::Ports::Range { first, last } = ports
            && first == last
            && strength(*first) > Strength::Weak
        {
            numbers.push(*first);
        }
    }
    numbers
}

/// The roles that explain most of what is seen; `None` where nothing that tells of the product is.
pub(super) fn choose(
    product: &'static Product,
    scenario: Option<&str>,
    uses: &Uses,
) -> Option<Choice> {
    let candidates = candidates(product, scenario, uses);
    let of = |least| -> BTreeSet<Port> {
        let explained = candidates.iter().flat_map(|candidate| &candidate.explains);
        explained.filter(|port| strength(port.port) == least).copied().collect()
    };
    let (mut telling, shared) = (of(Strength::Telling), of(Strength::Shared));
    let known = peers(uses, &telling);
    let of_known = |port: &&Port| uses[*port].peers.keys().any(|peer| known.contains(peer));
    // What the product's machines ask of this host tells of it, on whatever port.
    let is_served = |port: &&Port| port.side == Side::Server;
    telling.extend(shared.iter().filter(is_served).filter(of_known));
    let is_shared = telling.is_empty();
    let pool: Vec<Candidate> = if is_shared {
        telling.clone_from(&shared);
        let is_shown =
            |candidate: &Candidate| candidate.is_shown_by_shared_ports(product, uses, &shared);
        candidates.into_iter().filter(is_shown).collect()
    } else {
        candidates
    };

    let mut choice = Choice {
        roles: Vec::new(),
        alternatives: Vec::new(),
        explained: BTreeSet::new(),
        is_shared,
    };
    loop {
        let rest: BTreeSet<Port> = telling.difference(&choice.explained).copied().collect();
        let most = pool.iter().map(|candidate| candidate.explained(&rest)).max()?;
        if most == 0 {
            break;
        }
        let equal: Vec<&Candidate> =
            pool.iter().filter(|candidate| candidate.explained(&rest) == most).collect();
        // Of equals the last one wins, and should be the one that the catalog has first.
        let best = equal.iter().rev().max_by_key(|candidate| {
            let missing = Reverse(candidate.missing());
            (candidate.explained_in_all(), missing, candidate.included_by(product, &pool))
        })?;
        choice.roles.push(best.role);
        choice.explained.extend(best.explains.intersection(&telling));
        choice.alternatives.extend(equal.iter().map(|candidate| candidate.role));
    }
    choice.alternatives.retain(|role| !choice.roles.contains(role));
    (!choice.roles.is_empty()).then_some(choice)
}

/// The machines at the other end of some ports.
pub(super) fn peers(uses: &Uses, ports: &BTreeSet<Port>) -> BTreeSet<IpAddr> {
    ports.iter().flat_map(|port| uses[port].peers.keys()).copied().collect()
}
