//! Puts the report together.

use jiff::Timestamp;

use super::{
    Counts, Dropped, Evidence, Expectation, Failing, FlowMap, Hook, MOST_FAILING, Name, Peer,
    PeerSource, Report, SCHEMA, Unexpected,
};
use crate::{
    discrepancy::{self, Assessment, Judgement},
    expect::{self, OTHER, Peers},
    names::KnownNames,
    observe::{self, Counters, Outcome, Snapshot, side_name, transport_name},
};

/// The report of a snapshot and of what was said of it.
pub fn build(
    host: &str,
    started: Timestamp,
    snapshot: &Snapshot,
    expectations: &[expect::Expectation],
    assessment: &Assessment,
    names: &KnownNames,
) -> Report {
    Report {
        schema: SCHEMA,
        host: host.to_owned(),
        started,
        taken: snapshot.taken,
        coverage: snapshot
            .coverage
            .iter()
            .map(|hook| Hook {
                hook: hook.hook.to_owned(),
                interface: hook.interface.clone(),
                attached: hook.fault.is_none(),
                reason: hook.fault.clone(),
                since: hook.since,
            })
            .collect(),
        expectations: expectations
            .iter()
            .zip(&assessment.judgements)
            .filter_map(|(expectation, judgement)| {
                Some(expectation_report(expectation, judgement.as_ref()?))
            })
            .collect(),
        unexpected: assessment.unexpected.iter().map(unexpected).collect(),
        unexpected_total: assessment.unexpected_total,
        loss: snapshot
            .lost
            .iter()
            .map(|(loss, packets)| (loss.name().to_owned(), *packets))
            .collect(),
        flow_map: FlowMap { entries: snapshot.entries, capacity: snapshot.capacity },
        names: names
            .iter()
            .map(|(name, known)| Name {
                name: name.clone(),
                addresses: known.addresses.iter().copied().collect(),
                changes: known.changes,
                since: known.since,
            })
            .collect(),
        notes: Vec::new(),
    }
}

fn expectation_report(expectation: &expect::Expectation, judgement: &Judgement) -> Expectation {
    let key = &expectation.key;
    Expectation {
        system: key.system.clone(),
        product: key.product.clone(),
        flow: key.flow.clone(),
        side: side_name(key.side).to_owned(),
        peer_group: key.peer_group.clone(),
        peers: match expectation.peers {
            Peers::Any => PeerSource::Any,
            Peers::Declared(_) => PeerSource::Config,
            Peers::Documented(_) => PeerSource::Document,
        },
        transports: expectation
            .transports
            .iter()
            .map(|transport| transport_name(*transport).to_owned())
            .collect(),
        ports: expectation.ports.iter().map(ToString::to_string).collect(),
        requirement: expectation.requirement.to_string(),
        purpose: expectation.purpose.clone(),
        verdict: judgement.verdict,
        cause: judgement.cause,
        since: judgement.since,
        last_seen: judgement.last_seen,
        last_success: judgement.last_success,
        evidence: evidence(expectation, judgement),
    }
}

fn evidence(expectation: &expect::Expectation, judgement: &Judgement) -> Evidence {
    let label = |index: &Option<usize>| match (expectation.peers.listed(), index) {
        (Some(peers), Some(index)) => peers[*index].to_string(),
        _ => OTHER.to_owned(),
    };
    Evidence {
        peers: judgement
            .counts
            .iter()
            .map(|(index, counted)| Peer {
                peer: label(index),
                received: counts(&counted.received),
                transmitted: counts(&counted.transmitted),
                socket_received: counts(&counted.socket_received),
                socket_transmitted: counts(&counted.socket_transmitted),
                last_seen: counted.last_seen,
            })
            .collect(),
        peers_seen: judgement.peers_seen,
        dropped: judgement.totals.dropped.clone(),
        outcomes: Outcome::ALL
            .into_iter()
            .map(|outcome| {
                let times = judgement.totals.outcomes.get(&outcome).copied().unwrap_or(0);
                (outcome.name().to_owned(), times)
            })
            .collect(),
        retransmitted: judgement.totals.retransmitted,
        failing: judgement
            .failing
            .iter()
            .take(MOST_FAILING)
            .map(|failing| Failing {
                address: failing.flow.peer.to_string(),
                port: failing.flow.service_port,
                transport: transport_name(failing.flow.transport).to_owned(),
                since: failing.failure.since,
                last: failing.failure.last,
                attempts: failing.failure.attempts,
                interface: failing.interface.clone(),
                cause: failing.said.1,
                dropped: failing.dropped.iter().map(dropped).collect(),
            })
            .collect(),
        failing_total: judgement.failing.len(),
        reason: judgement.reason.clone(),
    }
}

fn dropped(drop: &observe::Drop) -> Dropped {
    Dropped {
        reason: drop.reason.clone(),
        received: drop.received,
        packets: drop.packets,
        first: drop.first,
        last: drop.last,
        interface: drop.interface.clone(),
    }
}

fn unexpected(stranger: &discrepancy::Unexpected) -> Unexpected {
    let discrepancy::Unexpected { flow, nearest, cause, since, tally } = stranger;
    Unexpected {
        system: nearest.system.clone(),
        product: nearest.product.clone(),
        flow: nearest.flow.clone(),
        side: side_name(flow.side).to_owned(),
        peer: flow.peer.to_string(),
        port: flow.service_port,
        transport: transport_name(flow.transport).to_owned(),
        cause: *cause,
        since: *since,
        last_seen: tally.last_seen(),
        received: counts(&tally.received),
        transmitted: counts(&tally.transmitted),
    }
}

fn counts(counters: &Counters) -> Counts {
    let Counters { packets, bytes, syn, syn_ack, fin, rst } = *counters;
    Counts { packets, bytes, syn, syn_ack, fin, rst }
}
