//! Puts the report together.

use jiff::Timestamp;

use super::{
    Counts, Difference, Dropped, Evidence, Expectation, Failing, FlowMap, Hook, IcmpErrors,
    IcmpTotals, MOST_FAILING, Name, Peer, PeerSource, Report, Route, SCHEMA, Scanner, Session,
    Share, Unexpected,
};
use crate::{
    config::Due,
    discrepancy::{self, Assessment, Attempt, Judgement, Stuck, Totals},
    expect::{self, OTHER, Peers},
    names::KnownNames,
    observe::{
        self, AttemptEnd, Counters, Outcome, Snapshot, error_text, side_name, transport_name,
    },
};

/// The report of a snapshot and of what was said of it, without a word on the file.
pub fn build(
    host: &str,
    started: Timestamp,
    snapshot: &Snapshot,
    expectations: &[expect::Expectation],
    assessment: &Assessment,
    names: &KnownNames,
) -> Report {
    let compares = snapshot.compares_layers();
    Report {
        schema: SCHEMA,
        host: host.to_owned(),
        started,
        watched_since: Some(assessment.watched_since),
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
                Some(expectation_report(expectation, judgement.as_ref()?, compares))
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
        sessions_left_out: snapshot.sessions_left_out,
        interface_overruns: snapshot.interface_overruns,
        names: names
            .iter()
            .map(|(name, known)| Name {
                name: name.clone(),
                addresses: known.addresses.iter().copied().collect(),
                changes: known.changes,
                since: known.since,
            })
            .collect(),
        probes: None,
        state: None,
        scanners: assessment.scanners.iter().map(scanner).collect(),
        notes: Vec::new(),
    }
}

fn expectation_report(
    expectation: &expect::Expectation,
    judgement: &Judgement,
    compares: bool,
) -> Expectation {
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
        due: (expectation.due != Due::Never).then(|| expectation.due.to_string()),
        verdict: judgement.verdict,
        cause: judgement.cause,
        since: judgement.since,
        last_seen: judgement.last_seen,
        last_success: judgement.last_success,
        evidence: evidence(expectation, judgement, compares),
    }
}

fn evidence(expectation: &expect::Expectation, judgement: &Judgement, compares: bool) -> Evidence {
    let discrepancy::Difference { received, transmitted } = judgement.totals.difference;
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
        icmp: icmp_totals(&judgement.totals),
        attempts: AttemptEnd::ALL
            .into_iter()
            .map(|end| {
                let times = judgement.totals.attempts.get(&end).copied().unwrap_or(0);
                (end.name().to_owned(), times)
            })
            .collect(),
        attempts_not_followed: judgement.totals.attempts_not_followed,
        outcomes: Outcome::ALL
            .into_iter()
            .map(|outcome| {
                let times = judgement.totals.outcomes.get(&outcome).copied().unwrap_or(0);
                (outcome.name().to_owned(), times)
            })
            .collect(),
        retransmitted: judgement.totals.retransmitted,
        difference: compares.then_some(Difference { received, transmitted }),
        failing: judgement.failing.iter().map(failing).collect(),
        failing_total: judgement.failing_total,
        reason: judgement.reason.clone(),
    }
}

fn failing(failing: &discrepancy::Failing) -> Failing {
    let discrepancy::Failing { flow, failure, said, interface, route, .. } = failing;
    Failing {
        address: flow.peer.to_string(),
        port: flow.service_port,
        transport: transport_name(flow.transport).to_owned(),
        since: failure.since,
        last: failure.last,
        attempts: failure.attempts,
        share: failing.share.map(|share| Share { failed: share.failed, total: share.total }),
        error: match failure.attempt {
            Attempt::NotSent { error } => Some(error_text(error)),
            Attempt::Refused
            | Attempt::Unanswered
            | Attempt::HalfOpen
            | Attempt::Lost
            | Attempt::Silent => None,
        },
        interface: interface.as_deref().map(str::to_owned),
        cause: said.1,
        dropped: failing.dropped.iter().map(dropped).collect(),
        icmp: failing.icmp.iter().map(icmp_errors).collect(),
        route: route.as_ref().map(|route| match route {
            observe::Route::Out { interface, gateway } => Route {
                interface: interface.as_deref().map(str::to_owned),
                gateway: gateway.map(|gateway| gateway.to_string()),
                error: None,
            },
            observe::Route::None { error } => {
                Route { error: Some(error_text(*error)), ..Route::default() }
            }
        }),
        sessions: failing.sessions.iter().take(MOST_FAILING).map(session).collect(),
        sessions_total: failing.sessions.len(),
    }
}

fn icmp_totals(totals: &Totals) -> IcmpTotals {
    let of = |direction: bool| {
        let of = totals.icmp.iter().filter(move |((received, _), _)| *received == direction);
        of.map(|((_, kind), packets)| (kind.name().to_owned(), *packets)).collect()
    };
    IcmpTotals { received: of(true), transmitted: of(false) }
}

fn icmp_errors(errors: &observe::IcmpErrors) -> IcmpErrors {
    let observe::IcmpErrors { kind, received, packets, first, last } = *errors;
    IcmpErrors { kind: kind.name().to_owned(), received, packets, first, last }
}

fn dropped(drop: &observe::Drop) -> Dropped {
    Dropped {
        reason: drop.reason.to_string(),
        received: drop.received,
        packets: drop.packets,
        first: drop.first,
        last: drop.last,
        interface: drop.interface.as_deref().map(str::to_owned),
    }
}

fn session(stuck: &Stuck) -> Session {
    Session {
        local: stuck.local.to_string(),
        remote: stuck.remote.to_string(),
        since: stuck.since,
        quiet_seconds: stuck.quiet.as_secs(),
        retransmissions: stuck.retransmissions,
        unacknowledged: stuck.unacknowledged,
        mss: stuck.mss,
        open: stuck.is_open,
        dropped_here: stuck.is_dropped_here,
        cause: stuck.cause,
    }
}

fn scanner(scanner: &discrepancy::Scanner) -> Scanner {
    Scanner { address: scanner.peer.to_string(), ports: scanner.ports }
}

fn unexpected(stranger: &discrepancy::Unexpected) -> Unexpected {
    let discrepancy::Unexpected { flow, nearest, cause, since, wire } = stranger;
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
        last_seen: wire.last_seen(),
        received: counts(&wire.received),
        transmitted: counts(&wire.transmitted),
    }
}

fn counts(counters: &Counters) -> Counts {
    let Counters { packets, bytes, syn, syn_ack, fin, rst } = *counters;
    Counts { packets, bytes, syn, syn_ack, fin, rst }
}
