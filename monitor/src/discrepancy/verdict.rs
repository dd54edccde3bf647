//! From what was gathered for an expectation to its verdict.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Blindness, Cause, DEFAULT_WINDOW, Failing, PeerCounts, Verdict, totals::Totals};
use crate::{
    config::Peer,
    expect::{Expectation, Names, Peers, is_resolved},
    observe::{CONNECT, CONNECTION, DROP, Loss, SOCKET_EGRESS, Side, Snapshot},
};

/// What is gathered for one expectation while the flows are gone through.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) counts: BTreeMap<Option<usize>, PeerCounts>,
    pub(super) failing: Vec<Failing>,
    /// When each peer's flow was last seen to work.
    pub(super) successes: BTreeMap<Option<usize>, Timestamp>,
    /// When this flow or an alternative to it was last seen to work.
    pub(super) alternative: Option<Timestamp>,
    pub(super) one_way: Option<Timestamp>,
    pub(super) peers_seen: usize,
    pub(super) totals: Totals,
}

impl Gathered {
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.successes.values().max().copied()
    }
}

/// Hooks that see attempts of this host that never reach the wire.
const BEFORE_THE_WIRE: [&str; 3] = [SOCKET_EGRESS, DROP, CONNECT];

/// What the monitor was able to see: nothing is concluded from absence where it could not.
#[derive(Debug)]
pub(super) struct Sight {
    started: Timestamp,
    blindness: Option<Blindness>,
    /// Hooks without which attempts of this host can go unseen.
    unseen_attempts: Vec<&'static str>,
    flow_map_full: u64,
    /// Whether the sockets tell which handshakes were completed.
    pub(super) sees_handshakes: bool,
}

impl Sight {
    /// Sight of a monitor that started to watch at a moment.
    pub(super) fn since(started: Timestamp) -> Self {
        Self {
            started,
            blindness: None,
            unseen_attempts: Vec::new(),
            flow_map_full: 0,
            sees_handshakes: false,
        }
    }

    /// Takes in what a snapshot did not show.
    pub(super) fn note(&mut self, snapshot: &Snapshot) {
        let until = snapshot.taken;
        let full = snapshot.lost.get(&Loss::FlowMapFull).copied().unwrap_or(0);
        if full > self.flow_map_full {
            let reason = "the flow map was full, new flows were not counted".to_owned();
            self.blindness = Some(Blindness { until, reason });
        }
        self.flow_map_full = full;
        self.unseen_attempts = snapshot
            .coverage
            .iter()
            .filter(|hook| hook.fault.is_some() && BEFORE_THE_WIRE.contains(&hook.hook))
            .map(|hook| hook.hook)
            .collect();
        self.sees_handshakes =
            snapshot.coverage.iter().any(|hook| hook.hook == CONNECTION && hook.fault.is_none());
        let faults: Vec<&str> = snapshot
            .coverage
            .iter()
            // Without the other hooks the wire is seen all the same.
            .filter(|hook| hook.fault.is_some() && hook.interface.is_some())
            .map(|hook| hook.interface.as_deref().unwrap_or(hook.hook))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if !faults.is_empty() {
            let reason = format!("not watched: {}", faults.join(", "));
            self.blindness = Some(Blindness { until, reason });
        }
    }

    /// The verdict, its cause, and why it cannot be said where it is unknown.
    pub(super) fn verdict(
        &self,
        expectation: &Expectation,
        gathered: &Gathered,
        names: &Names,
        now: Timestamp,
    ) -> (Verdict, Option<Cause>, Option<String>) {
        let unknown = |reason: String| (Verdict::Unknown, None, Some(reason));
        if let Some(Failing { said: (verdict, cause), .. }) = gathered.failing.first() {
            return (*verdict, Some(*cause), None);
        }
        if !expectation.is_judgeable() {
            return unknown("the document gives no port number".to_owned());
        }
        if let Some(reason) = unresolved(expectation, names) {
            return unknown(reason);
        }
        let window = expectation.within.unwrap_or(DEFAULT_WINDOW);
        let recent = |at: Option<Timestamp>| at.filter(|&at| now.duration_since(at) <= window);
        let seen_since_blind = |at: Timestamp| match &self.blindness {
            Some(blindness) => at > blindness.until,
            None => true,
        };
        let absent = absent(expectation, gathered, |at| recent(Some(at)).is_some());
        if recent(gathered.last_success()).is_some_and(seen_since_blind) && absent.is_empty() {
            return (Verdict::Ok, None, None);
        }
        if let Some(blindness) = &self.blindness
            && now.duration_since(blindness.until) <= window
        {
            return unknown(blindness.reason.clone());
        }
        if recent(gathered.one_way).is_some() {
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
        let is_due = expectation.within.is_some() && recent(gathered.alternative).is_none();
        if !is_due && absent.is_empty() {
            return (Verdict::Idle, None, None);
        }
        if now.duration_since(self.started) < window {
            return unknown(format!("watched for less than {window:#}"));
        }
        let reason = (!absent.is_empty()).then(|| format!("not seen: {}", absent.join(", ")));
        (Verdict::Missing, Some(Cause::NeverConnected), reason)
    }
}

/// The machines without a recent success, where presence is due of every single one.
fn absent(
    expectation: &Expectation,
    gathered: &Gathered,
    is_recent: impl Fn(Timestamp) -> bool,
) -> Vec<String> {
    let listed = expectation.peers.listed().unwrap_or_default();
    let is_due = expectation.every_member && expectation.within.is_some();
    let members = listed.iter().enumerate().filter(|(_, peer)| is_due && peer.is_machine());
    members
        .filter(|(index, _)| {
            !gathered.successes.get(&Some(*index)).is_some_and(|&at| is_recent(at))
        })
        .map(|(_, peer)| peer.to_string())
        .collect()
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
