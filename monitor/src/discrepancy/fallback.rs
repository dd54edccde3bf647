//! Failures that are made up for in another way: by another transport, by an alternative, or at another
//! address of the same name.
//!
//! A client that falls back may never try again what has failed, so that nothing else would end it.

use std::collections::BTreeMap;

use catalog::Ports;
use jiff::{SignedDuration, Timestamp};

use super::{
    DEFAULT_WINDOW, Failing, Failure,
    presence::{Alternatives, alternatives},
};
use crate::{
    expect::Expectation,
    observe::{FlowId, Transport},
};

/// How long one attempt goes on: the kernel sends a SYN again for 127 s.
const ONE_ATTEMPT: SignedDuration = SignedDuration::from_secs(130);

/// How long attempts that were repeated must not fail again before a success of another kind ends them:
/// else a client that falls back each time would end its failure each time.
const QUIET: SignedDuration = SignedDuration::from_secs(300);

/// A range of more ports says nothing of any one of them.
const NARROW: usize = 16;

/// Whether a success in another way ends a failure: later than it, and nothing has failed since.
pub(super) fn is_over(failure: &Failure, worked: Option<Timestamp>, now: Timestamp) -> bool {
    let is_single = failure.last.duration_since(failure.since) <= ONE_ATTEMPT;
    let is_quiet = now.duration_since(failure.last) >= QUIET;
    worked.is_some_and(|worked| worked > failure.last) && (is_single || is_quiet)
}

/// Whether an address of a name can fail because another address of it works: programs try one after the
/// other. It has worked since the last attempt began, or did lately and the attempt still goes on.
pub(super) fn is_spare(failure: &Failure, worked: Option<Timestamp>, now: Timestamp) -> bool {
    worked.is_some_and(|worked| {
        let goes_on = now.duration_since(failure.last) < ONE_ATTEMPT;
        let is_lately = now.duration_since(worked) <= DEFAULT_WINDOW;
        failure.last.duration_since(worked) <= ONE_ATTEMPT || goes_on && is_lately
    })
}

/// What is said of an address that fails while another one of its name works.
pub(super) fn spare_address(expectation: &Expectation, failing: &Failing) -> String {
    let Failing { flow, said: (_, cause), peer, .. } = failing;
    let listed = expectation.peers.listed().unwrap_or_default();
    let name = peer.and_then(|index| listed.get(index)).map(ToString::to_string);
    let name = name.unwrap_or_default();
    format!("{flow}: attempts fail ({cause}), another address of {name} works")
}

/// Which expectations are alternatives to each other, by their indices.
pub(super) type Groups<'a> = BTreeMap<Alternatives<'a>, Vec<usize>>;

pub(super) fn groups(expectations: &[Expectation]) -> Groups<'_> {
    let mut groups = Groups::new();
    for (index, expectation) in expectations.iter().enumerate() {
        if let Some(name) = alternatives(expectation) {
            groups.entry(Some(name)).or_default().push(index);
        }
    }
    groups
}

/// When the flow last worked with the same peer in another way: by the other transport, if the document
/// allows both, or by an alternative.
pub(super) fn worked_otherwise(
    failing: &Failing,
    expectation: &Expectation,
    expectations: &[Expectation],
    groups: &Groups<'_>,
    last_success: impl Fn(&FlowId) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let flow = failing.flow;
    let transports = expectation.transports.iter().filter(|other| **other != flow.transport);
    let same_port = transports.map(|&transport| FlowId { transport, ..flow });
    let others = alternatives(expectation).and_then(|name| groups.get(&Some(name)));
    let others = others.into_iter().flatten().map(|&index| &expectations[index]);
    let others = others.filter(|other| other.key != expectation.key);
    let by_alternative = others.flat_map(|other| {
        let narrow = other.ports.iter().filter_map(|ports| match *ports {
            Ports::Range { first, last } => Some(first..=last).filter(|all| all.len() <= NARROW),
            Ports::Dynamic => None,
        });
        narrow.flatten().flat_map(move |service_port| {
            let side = other.key.side;
            let flows =
                move |&transport: &Transport| FlowId { service_port, transport, side, ..flow };
            other.transports.iter().map(flows)
        })
    });
    same_port.chain(by_alternative).filter_map(|other| last_success(&other)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrepancy::Attempt;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failed(since: i64, last: i64) -> Failure {
        Failure {
            attempt: Attempt::Unanswered,
            since: at(since),
            began: at(since),
            last: at(last),
            attempts: 3,
        }
    }

    #[test]
    fn one_attempt_is_over_with_the_next_success() {
        let failure = failed(1000, 1127);
        for (worked, expected) in
            [(None, false), (Some(900), false), (Some(1127), false), (Some(1128), true)]
        {
            assert_eq!(is_over(&failure, worked.map(at), at(1200)), expected, "{worked:?}");
        }
    }

    #[test]
    fn what_was_repeated_is_over_when_it_is_quiet() {
        let failure = failed(1000, 5000);
        assert!(!is_over(&failure, Some(at(5001)), at(5299)));
        assert!(is_over(&failure, Some(at(5001)), at(5300)));
        assert!(!is_over(&failure, Some(at(4999)), at(9000)));
    }

    #[test]
    fn another_address_has_to_work_near_the_attempt() {
        // A name that works by its other address, night after night.
        let failure = failed(0, 90_000);
        assert!(is_spare(&failure, Some(at(90_001)), at(90_010)));
        // The attempt goes on, and the other address is tried when it has ended.
        assert!(is_spare(&failure, Some(at(3600)), at(90_010)));
        // It has ended, and nothing has worked since.
        assert!(!is_spare(&failure, Some(at(3600)), at(90_130)));
        assert!(!is_spare(&failure, None, at(90_010)));
    }
}
