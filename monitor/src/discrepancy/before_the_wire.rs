//! Attempts that never reach the wire: those of this host that its sockets or its firewall tell of, and those of
//! peers that are dropped before any program of TC.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{evidence, moved_by, track::ANSWER_GRACE};
use crate::observe::{
    Drop, FORBIDDEN, FlowId, NO_PORT, REFUSED_UNSENT, Route, Side, Tally, UNTOLD, XDP,
};

/// How long a segment is sent again at the latest after the one before: the kernel doubles the time up to
/// 64 s. One that comes later, from the same port, is another attempt's.
const AGAIN: SignedDuration = SignedDuration::from_secs(65);

/// Attempts that became segments and did not reach the wire. Their segments are counted, and of each snapshot's
/// last the port is known: another port is another attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BeforeTheWire {
    /// Segments that were there when an attempt last succeeded, and now.
    base: u64,
    all: u64,
    /// Those that this host is known to have dropped.
    dropped: u64,
    /// The last attempt.
    last: Option<Hidden>,
    /// Attempts that may still succeed, and since when there are any.
    open: u64,
    open_since: Option<Timestamp>,
    /// How many attempts are known to have failed.
    pub(super) failed: u64,
}

/// An attempt: the asker's port, its first and last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    port: u16,
    began: Timestamp,
    last: Timestamp,
}

impl BeforeTheWire {
    /// What an earlier run had counted, and judged up to a moment.
    pub(super) fn of_earlier(
        flow: &FlowId,
        tally: &Tally,
        judged: Option<Timestamp>,
    ) -> Option<Box<Self>> {
        let base = count(flow, tally);
        let is_judged = last_dropped(flow, tally).map(|(_, last)| last) <= judged;
        let dropped = openings(flow, tally).map(|drop| drop.packets).sum();
        (base > 0 && is_judged)
            .then(|| Box::new(Self { base, all: base, dropped, ..Self::default() }))
    }

    /// When the last one that newly fails, or is made again, began and was last made. Few flows have any.
    pub(super) fn advance(
        known: &mut Option<Box<Self>>,
        flow: &FlowId,
        tally: &Tally,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let all = count(flow, tally);
        if known.is_none() && all == 0 {
            return None;
        }
        known.get_or_insert_default().take_in(all, flow, tally, now)
    }

    fn take_in(
        &mut self,
        all: u64,
        flow: &FlowId,
        tally: &Tally,
        now: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let before = std::mem::replace(&mut self.all, all);
        // A segment that was on its way to the device is no loss, whether a success came meanwhile or not.
        self.base = self.base.min(all);
        if all == self.base || all < before {
            (self.last, self.open) = (None, 0);
            return None;
        }
        let is_new = all > before;
        if is_new {
            let openings = openings(flow, tally).map(|drop| drop.packets).sum();
            let is_dropped = openings > std::mem::replace(&mut self.dropped, openings);
            let dropped = last_dropped(flow, tally).filter(|_| is_dropped);
            let (port, at) = dropped.unwrap_or((0, now));
            let is_same = |it: &Hidden| it.port == port && at.duration_since(it.last) <= AGAIN;
            let again = self.last.filter(is_same);
            if again.is_none() {
                self.open_since = if self.open == 0 { Some(at) } else { self.open_since };
                self.open += 1;
            }
            self.last = Some(Hidden { port, began: again.map_or(at, |it| it.began), last: at });
        }
        let Hidden { began, last, .. } = self.last?;
        let since = self.open_since.filter(|_| self.open > 0);
        let is_over = since.is_some_and(|since| {
            now.duration_since(since) >= ANSWER_GRACE || evidence::is_decided(flow, tally, since)
        });
        if is_over {
            self.failed += std::mem::take(&mut self.open);
        }
        let is_known = self.open == 0 && self.failed > 0;
        (is_over || is_new && is_known).then_some((began, last))
    }

    /// An attempt succeeded: those that are open may have been it. If nothing fails any more, counting begins anew.
    pub(super) fn succeed(&mut self, is_all_well: bool) {
        if std::mem::take(&mut self.open) > 0 || is_all_well {
            self.last = None;
        }
        if is_all_well {
            self.base = self.all;
        }
    }

    /// How many segments there are since an attempt last succeeded.
    pub(super) const fn waiting(&self) -> u64 {
        self.all.saturating_sub(self.base)
    }

    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        self.open_since = self.open_since.map(|at| moved_by(at, by));
        if let Some(Hidden { began, last, .. }) = &mut self.last {
            (*began, *last) = (moved_by(*began, by), moved_by(*last, by));
        }
    }
}

/// Segments that ask, and that this host dropped.
fn openings<'a>(flow: &'a FlowId, tally: &'a Tally) -> impl Iterator<Item = &'a Drop> {
    let is_opening = |drop: &&Drop| drop.opening && drop.received == is_of_peer(flow);
    tally.dropped.iter().filter(is_opening)
}

/// The asker's port in the last of them, and when it was dropped.
fn last_dropped(flow: &FlowId, tally: &Tally) -> Option<(u16, Timestamp)> {
    let all = openings(flow, tally).filter_map(|drop| Some((drop.port, drop.last?)));
    all.max_by_key(|(_, last)| *last)
}

/// Whether the attempts are a peer's; what the host sends itself is dropped on its way out.
fn is_of_peer(flow: &FlowId) -> bool {
    flow.side == Side::Server && !flow.loopback
}

fn count(flow: &FlowId, tally: &Tally) -> u64 {
    let is_of_peer = is_of_peer(flow);
    let dropped = |reason: &str| -> u64 {
        let here = openings(flow, tally).filter(|drop| is_of_peer || !drop.at_device);
        here.filter(|drop| *drop.reason == *reason).map(|drop| drop.packets).sum()
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
