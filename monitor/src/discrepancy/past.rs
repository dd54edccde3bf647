//! Flows whose peer was known by a name that has other addresses since.
//!
//! What was counted while the name had the address stays with the name, so that no total falls. A
//! connection that was open then stays with it until another one is opened.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    config::Peer,
    expect::{Expectation, Key, Match},
    observe::{FlowId, Tally, Transport},
};

/// What flows with the peers of names are known as.
#[derive(Debug, Default)]
pub(super) struct Pasts(HashMap<FlowId, Vec<Past>>);

#[derive(Debug)]
struct Past {
    key: Key,
    peer: Peer,
    mirrored: bool,
    /// `None` while the name has the address.
    until: Option<Until>,
}

/// What was counted until the peer was no longer the one.
#[derive(Debug)]
pub(super) struct Until {
    pub(super) tally: Tally,
    pub(super) last_success: Option<Timestamp>,
}

impl Pasts {
    /// Adds to the matches of a flow those of its open connections. Gives those that it has lost,
    /// with what was counted for them.
    pub(super) fn follow(
        &mut self,
        flow: &FlowId,
        tally: &Tally,
        last_success: Option<Timestamp>,
        expectations: &[Expectation],
        matches: &mut Vec<Match>,
    ) -> Vec<(Match, &Until)> {
        for found in matches.iter() {
            self.note(flow, found, &expectations[found.expectation]);
        }
        let Some(pasts) = self.0.get_mut(flow) else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for past in pasts {
            if matches.iter().any(|found| past.is(found, expectations)) {
                past.until = None;
                continue;
            }
            // A config that was read since may not have the peer.
            let Some(found) = past.find(expectations) else {
                continue;
            };
            // What was counted by the moment of the change came before it.
            let is_open = past.until.as_ref().is_none_or(|until| {
                flow.transport == Transport::Tcp && opened(&until.tally) == opened(tally)
            });
            let is_free = matches.iter().all(|other| other.expectation != found.expectation);
            let now = || Until { tally: tally.clone(), last_success };
            if is_open && is_free {
                past.until = Some(now());
                matches.push(found);
            } else {
                lost.push((found, &*past.until.get_or_insert_with(now)));
            }
        }
        lost
    }

    /// Keeps in mind that the peer of a match has the address.
    fn note(&mut self, flow: &FlowId, found: &Match, expectation: &Expectation) {
        let listed = expectation.peers.listed().unwrap_or_default();
        let Some(peer @ (Peer::Name(_) | Peer::Below(_))) =
            found.peer.and_then(|index| listed.get(index))
        else {
            return;
        };
        let pasts = self.0.entry(*flow).or_default();
        if !pasts.iter().any(|past| past.key == expectation.key && past.peer == *peer) {
            pasts.push(Past {
                key: expectation.key.clone(),
                peer: peer.clone(),
                mirrored: found.mirrored,
                until: None,
            });
        }
    }

    /// Forgets a flow.
    pub(super) fn remove(&mut self, flow: &FlowId) {
        self.0.remove(flow);
    }
}

impl Past {
    fn is(&self, found: &Match, expectations: &[Expectation]) -> bool {
        let Expectation { key, peers, .. } = &expectations[found.expectation];
        let listed = peers.listed().unwrap_or_default();
        *key == self.key && found.peer.and_then(|index| listed.get(index)) == Some(&self.peer)
    }

    fn find(&self, expectations: &[Expectation]) -> Option<Match> {
        let expectation = expectations.binary_search_by(|other| other.key.cmp(&self.key)).ok()?;
        let peers = expectations[expectation].peers.listed()?;
        let peer = Some(peers.iter().position(|peer| *peer == self.peer)?);
        Some(Match { expectation, peer, mirrored: self.mirrored })
    }
}

/// Attempts to open a connection, from either end.
const fn opened(tally: &Tally) -> u64 {
    tally.wire.received.syn + tally.wire.transmitted.syn
}
