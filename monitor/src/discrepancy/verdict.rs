//! From what was gathered for an expectation to its verdict.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Cause, Failing, Verdict,
    gathered::Gathered,
    presence::{self, Absence},
    watch::{MAP_FULL, MAP_FULL_FOR_OTHERS, Watch},
};
use crate::{
    config::Peer,
    expect::{Expectation, Names, Peers, is_resolved},
    observe::{CONNECT, DROP, Loss, SOCKET_EGRESS, Side, Snapshot},
};

/// Hooks that see attempts of this host that never reach the wire.
const BEFORE_THE_WIRE: [&str; 3] = [SOCKET_EGRESS, DROP, CONNECT];

/// What the monitor was able to see: nothing is concluded from absence where it could not.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) watch: Watch,
    /// Hooks without which attempts of this host can go unseen.
    unseen_attempts: Vec<&'static str>,
    pub(super) flow_map_full: u64,
}

impl Sight {
    /// Sight of a monitor that watches, and of what did not fit into the map before.
    pub(super) const fn new(watch: Watch, flow_map_full: u64) -> Self {
        Self { watch, unseen_attempts: Vec::new(), flow_map_full }
    }

    /// Takes in what a snapshot did not show.
    pub(super) fn note(&mut self, snapshot: &Snapshot) {
        let full = snapshot.lost.get(&Loss::FlowMapFull).copied().unwrap_or(0);
        let is_lost = full > self.flow_map_full;
        self.flow_map_full = full;
        self.unseen_attempts = snapshot
            .coverage
            .iter()
            .filter(|hook| hook.fault.is_some() && BEFORE_THE_WIRE.contains(&hook.hook))
            .map(|hook| hook.hook)
            .collect();
        let faults: Vec<&str> = snapshot
            .coverage
            .iter()
            // Without the other hooks the wire is seen all the same.
            .filter(|hook| hook.fault.is_some() && hook.interface.is_some())
            .map(|hook| hook.interface.as_deref().unwrap_or(hook.hook))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let fault = if !faults.is_empty() {
            Some(format!("not watched: {}", faults.join(", ")))
        } else if is_lost {
            // With places kept for some, others are refused while there are still places.
            let is_full = snapshot.entries >= snapshot.capacity as usize / 16 * 15;
            Some(if is_full { MAP_FULL } else { MAP_FULL_FOR_OTHERS }.to_owned())
        } else {
            None
        };
        self.watch.advance(snapshot.taken, fault);
    }

    /// The verdict on an expectation that is one since a moment, its cause, and why it cannot be said
    /// where it is unknown.
    pub(super) fn verdict(
        &self,
        expectation: &Expectation,
        gathered: &Gathered,
        names: &Names,
        since: Timestamp,
        now: Timestamp,
    ) -> (Verdict, Option<Cause>, Option<String>) {
        let unknown = |reason: String| (Verdict::Unknown, None, Some(reason));
        if let Some(Failing { said: (verdict, cause), .. }) = gathered.failing.kept.first() {
            return (*verdict, Some(*cause), None);
        }
        if !expectation.is_judgeable() {
            return unknown("the document gives no port number".to_owned());
        }
        if let Some(reason) = unresolved(expectation, names) {
            return unknown(reason);
        }
        let horizon = presence::horizon(expectation, now);
        let is_kept =
            expectation.peers.listed().is_some_and(|all| all.iter().all(Peer::is_machine));
        let recent = |at: Option<Timestamp>| at.is_some_and(|at| at >= horizon);
        let fault = self.watch.last_fault_but_full(is_kept, now);
        let seen_since = |at: Timestamp| fault.is_none_or(|(until, _)| at > until);
        let absent = presence::absent(expectation, gathered, horizon);
        let last = gathered.last_success();
        if recent(last) && last.is_some_and(seen_since) && absent.is_empty() {
            return (Verdict::Ok, None, None);
        }
        let absence = if recent(gathered.alternative) && absent.is_empty() {
            Absence::Free
        } else {
            // Of several machines, what can be said of each of them.
            let of = |index: &usize| gathered.successes.get(&Some(*index)).copied();
            let last = if absent.is_empty() { last } else { absent.iter().filter_map(of).max() };
            presence::absence(&expectation.due, &self.watch, since, last, now)
        };
        // That a window has passed is a fact, whatever came after it.
        let is_fact = matches!(absence, Absence::Overdue(Some(_)));
        let fault = if matches!(absence, Absence::Overdue(_)) {
            self.watch.last_fault(is_kept)
        } else {
            fault
        };
        if let Some((until, reason)) = fault
            && until >= horizon
            && !is_fact
        {
            return unknown(reason.to_owned());
        }
        if recent(gathered.not_followed) {
            return unknown(
                "too many attempts were open at a time: what became of some is not known"
                    .to_owned(),
            );
        }
        if recent(gathered.crossed) {
            return unknown(
                "both ends send to this port: what comes may be an answer, or a question of the other end"
                    .to_owned(),
            );
        }
        if matches!(absence, Absence::Overdue(_)) && recent(gathered.with_unknown) {
            return unknown(
                "it was seen with addresses that a name among the peers may stand for: its answers change"
                    .to_owned(),
            );
        }
        if recent(gathered.one_way) {
            return unknown(
                "datagrams pass one way: whether they arrive is not seen here".to_owned(),
            );
        }
        if expectation.key.side == Side::Client && !self.unseen_attempts.is_empty() {
            let hooks = self.unseen_attempts.join(", ");
            return unknown(format!(
                "attempts that this host stops itself go unseen without {hooks}"
            ));
        }
        match absence {
            Absence::Free => (Verdict::Idle, None, None),
            Absence::Unclear(reason) => unknown(reason),
            Absence::Overdue(window) => {
                let listed = expectation.peers.listed().unwrap_or_default();
                let names: Vec<String> =
                    absent.iter().map(|&index| listed[index].to_string()).collect();
                let reason = match (names.join(", "), window) {
                    (names, None) if names.is_empty() => None,
                    (names, None) => Some(format!("not seen: {names}")),
                    (names, Some(window)) if names.is_empty() => {
                        Some(format!("not seen from {window}"))
                    }
                    (names, Some(window)) => Some(format!("not seen from {window}: {names}")),
                };
                (Verdict::Missing, Some(Cause::NeverConnected), reason)
            }
        }
    }
}

/// Why the peers are not known, where names stand for no address: of those that the config lists, any;
/// of those that the document names, all.
fn unresolved(expectation: &Expectation, names: &Names) -> Option<String> {
    let peers = expectation.peers.listed()?;
    let open: Vec<&Peer> = peers.iter().filter(|peer| !is_resolved(peer, names)).collect();
    let first = open.first()?;
    match expectation.peers {
        Peers::Documented(_) if open.len() < peers.len() => None,
        Peers::Documented(_) => Some(format!(
            "the document names {first}, which stands for no known address: list the peers in the config"
        )),
        Peers::Declared(_) | Peers::Any => Some(format!("the name {first} is not resolved")),
    }
}
