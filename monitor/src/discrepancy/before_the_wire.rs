//! Attempts that never reach the wire: those of this host that its sockets or its firewall tell of, and those of
//! peers that are dropped before any program of TC.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{evidence, moved_by, track::ANSWER_GRACE};
use crate::observe::{FORBIDDEN, FlowId, NO_PORT, REFUSED_UNSENT, Route, Side, Tally, UNTOLD, XDP};

/// Attempts that became segments and did not reach the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BeforeTheWire {
    /// Those that were there when an attempt last succeeded.
    base: u64,
    /// Since when there are more, and how many.
    more: Option<(Timestamp, u64)>,
}

impl BeforeTheWire {
    /// What an earlier run had counted, and judged up to a moment.
    pub(super) fn of_earlier(
        flow: &FlowId,
        tally: &Tally,
        judged: Option<Timestamp>,
    ) -> Option<Box<Self>> {
        let base = count(flow, tally);
        let openings = tally.dropped.iter().filter(|drop| drop.opening);
        let is_judged = openings.filter_map(|drop| drop.last).max() <= judged;
        (base > 0 && is_judged).then(|| Box::new(Self { base, more: None }))
    }

    /// Those that fail, and when they began. Few flows have any.
    pub(super) fn failed(
        known: &mut Option<Box<Self>>,
        flow: &FlowId,
        tally: &Tally,
        now: Timestamp,
    ) -> Option<(u64, Timestamp)> {
        let all = count(flow, tally);
        if known.is_none() && all == 0 {
            return None;
        }
        let known = known.get_or_insert_default();
        let more = all.saturating_sub(known.base);
        if more == 0 {
            known.more = None;
            return None;
        }
        let (since, _) = known.more.unwrap_or((now, 0));
        known.more = Some((since, more));
        let is_over = now.duration_since(since) >= ANSWER_GRACE;
        (is_over || evidence::is_decided(flow, tally, since)).then_some((more, since))
    }

    /// An attempt succeeded.
    pub(super) fn succeed(&mut self, flow: &FlowId, tally: &Tally) {
        *self = Self { base: count(flow, tally), more: None };
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.more.is_some()
    }

    /// How many there are since an attempt last succeeded.
    pub(super) fn waiting(&self) -> u64 {
        self.more.map_or(0, |(_, times)| times)
    }

    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.more = self.more.map(|(since, times)| (moved_by(since, by), times));
    }
}

fn count(flow: &FlowId, tally: &Tally) -> u64 {
    let is_of_peer = flow.side == Side::Server && !flow.loopback;
    let dropped = |reason: &str| -> u64 {
        let openings = tally.dropped.iter().filter(|drop| {
            drop.opening && drop.received == is_of_peer && (is_of_peer || !drop.at_device)
        });
        openings.filter(|drop| *drop.reason == *reason).map(|drop| drop.packets).sum()
    };
    if is_of_peer {
        return dropped(XDP);
    }
    if flow.loopback {
        return dropped("NETFILTER_DROP");
    }
    // Without a reason: those that had left a socket are no attempts of their own.
    let sent = tally.sockets.transmitted.syn.saturating_sub(tally.wire.transmitted.syn);
    sent + dropped("NETFILTER_DROP") + dropped(UNTOLD).saturating_sub(sent)
}

/// Attempts of this host that fail before anything is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotSent {
    not_begun: u64,
    no_port: u64,
    forbidden: u64,
    /// Those that had not begun in the snapshot before: at that moment some may have been beginning.
    beginning: u64,
    /// How many are known to have failed.
    pub(super) failed: u64,
}

impl NotSent {
    /// Why new ones were never sent, and when the last one was made. The route tells why one did not begin; with
    /// a route it may be beginning at this moment, but not in the next snapshot any more. Few flows have any.
    pub(super) fn advance(
        known: &mut Option<Box<Self>>,
        tally: &Tally,
        route: Option<&Route>,
        now: Timestamp,
    ) -> Option<(u32, Timestamp)> {
        let Tally { not_begun, no_port, forbidden, .. } = tally;
        if known.is_none() && not_begun.times + no_port.times + forbidden.times == 0 {
            return None;
        }
        known.get_or_insert_default().take_in(tally, route, now)
    }

    fn take_in(
        &mut self,
        tally: &Tally,
        route: Option<&Route>,
        now: Timestamp,
    ) -> Option<(u32, Timestamp)> {
        let Tally { not_begun, no_port, forbidden, .. } = tally;
        let new = not_begun.times.saturating_sub(self.not_begun);
        let no_port_now = no_port.times.saturating_sub(self.no_port);
        let forbidden_now = forbidden.times.saturating_sub(self.forbidden);
        let refused = new.min(self.beginning);
        let is_old = not_begun.last.is_none_or(|last| now.duration_since(last) > ANSWER_GRACE);
        let (judged, said) = match route {
            _ if forbidden_now > 0 => {
                (forbidden_now, Some((forbidden_now, FORBIDDEN, forbidden.last)))
            }
            // There was a route when they were made.
            _ if refused > 0 => (refused, Some((refused, REFUSED_UNSENT, not_begun.last))),
            Some(Route::None { error }) if new > 0 => (new, Some((new, *error, not_begun.last))),
            _ if no_port_now > 0 => (0, Some((no_port_now, NO_PORT, no_port.last))),
            // Of an earlier run, which has judged them.
            _ if is_old => (new, None),
            _ => (0, None),
        };
        self.not_begun += judged;
        self.no_port = no_port.times;
        self.forbidden = forbidden.times;
        self.beginning = new.saturating_sub(judged);
        let (times, error, last) = said?;
        self.failed += times;
        Some((error, last.unwrap_or(now)))
    }
}
