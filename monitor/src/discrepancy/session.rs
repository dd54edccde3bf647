//! Open sessions that stop working, kept between snapshots.

use std::{collections::BTreeMap, mem, net::SocketAddr};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Attempt, Cause, DEFAULT_WINDOW, Failure, Track, Verdict, moved_by};
use crate::observe::{Drop, FlowId, IcmpErrors, IcmpKind, Session, Snapshot, Tally};

/// Retransmissions by timeout in a row, or segments that the firewall dropped, which prove something.
const ENOUGH: u8 = 3;

/// How long data has to go unacknowledged: a peer that is moved or saved as a virtual machine pauses
/// for seconds.
const LONG_ENOUGH: SignedDuration = SignedDuration::from_secs(10);

/// After that much silence it was not the sending that stopped the session: it was stopped in between.
/// Firewalls forget after minutes or hours; their shortest usual timeouts are longer than this.
const QUIET: SignedDuration = SignedDuration::from_secs(10);

/// How long a dropped segment is news.
const NEWS: SignedDuration = SignedDuration::from_mins(1);

/// The longest that TCP waits before it sends again.
const LONGEST_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Full segments that the first burst of a connection has. A path that takes them lets so many through.
const FIRST_BURST: u64 = 10;

/// An open session that stopped working.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stuck {
    /// Its end at this host.
    pub local: SocketAddr,
    /// Its other end.
    pub remote: SocketAddr,
    /// When what is not acknowledged was first sent, or the first segment dropped.
    pub since: Timestamp,
    /// When it was last seen to be so.
    pub last: Timestamp,
    /// How long nothing had been heard or acknowledged before.
    pub quiet: SignedDuration,
    /// Retransmissions by timeout in a row; none where only the peer sends.
    pub retransmissions: u8,
    /// Bytes that the peer does not acknowledge.
    pub unacknowledged: u32,
    /// Bytes of data in a full segment.
    pub mss: u32,
    /// Whether its socket is still there.
    pub is_open: bool,
    /// Whether this host dropped segments of it.
    pub is_dropped_here: bool,
    /// Why.
    pub cause: Cause,
}

/// The sessions that are, or may be, stuck, by their flow and their two ends.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<FlowId, BTreeMap<(SocketAddr, SocketAddr), Followed>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Followed {
    stuck: Stuck,
    is_proven: bool,
    /// What had been dropped of the flow before.
    dropped_before: u64,
}

impl Sessions {
    /// Those that an earlier run followed.
    pub(super) fn resume(followed: Vec<(FlowId, Followed)>) -> Self {
        let mut sessions = Self::default();
        for (flow, followed) in followed {
            let ends = (followed.stuck.local, followed.stuck.remote);
            sessions.0.entry(flow).or_default().insert(ends, followed);
        }
        sessions
    }

    /// Those that are stuck, for the next run.
    pub(super) fn carried(&self) -> Vec<(FlowId, Followed)> {
        let all = self.0.iter().flat_map(|(flow, all)| all.values().map(|one| (*flow, *one)));
        all.filter(|(_, followed)| followed.is_proven).collect()
    }

    /// Takes in what a snapshot shows of open sessions, and what was counted of their flows.
    pub(super) fn advance(&mut self, snapshot: &Snapshot, tally: impl Fn(FlowId) -> Option<Tally>) {
        let now = snapshot.taken;
        let is_recent = |last| now.duration_since(last) <= DEFAULT_WINDOW;
        self.0.retain(|_, of_flow| {
            of_flow.retain(|_, followed| is_recent(followed.stuck.last));
            !of_flow.is_empty()
        });
        let Some(sessions) = &snapshot.sessions else {
            return;
        };
        let mut before = mem::take(&mut self.0);
        for session in sessions {
            let ends = (session.local, session.remote);
            let old = before.get_mut(&session.flow).and_then(|of_flow| of_flow.remove(&ends));
            if let Some(tally) = tally(session.flow)
                && let Some(followed) = follow(old, session, &tally, now)
            {
                self.0.entry(session.flow).or_default().insert(ends, followed);
            }
        }
        for (flow, of_flow) in before {
            for (ends, mut followed) in of_flow {
                if followed.is_proven {
                    followed.stuck.is_open = false;
                    self.0.entry(flow).or_default().insert(ends, followed);
                }
            }
        }
    }

    /// The clock was set by so much.
    pub(super) fn set_clock(&mut self, by: SignedDuration) {
        for Followed { stuck, .. } in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            stuck.since = moved_by(stuck.since, by);
            stuck.last = moved_by(stuck.last, by);
        }
    }

    /// Whether some session's end is waited for.
    pub(super) fn follows(&self) -> bool {
        self.0.values().flat_map(BTreeMap::values).any(|followed| followed.stuck.is_open)
    }

    /// The stuck sessions of a flow, the first one first. One that is closed stays until the peer is heard
    /// again; where this host drops what is heard on the wire, until a connection is opened.
    pub(super) fn stuck(&mut self, flow: &FlowId, track: &Track) -> Vec<Stuck> {
        let Some(of_flow) = self.0.get_mut(flow) else {
            return Vec::new();
        };
        of_flow.retain(|_, Followed { stuck, .. }| {
            let works = if stuck.is_dropped_here { track.last_opened } else { track.last_success };
            stuck.is_open || works.is_none_or(|at| at <= stuck.last)
        });
        let of_flow = of_flow.values();
        let mut stuck: Vec<Stuck> =
            of_flow.filter(|followed| followed.is_proven).map(|followed| followed.stuck).collect();
        stuck.sort_by_key(|stuck| stuck.since);
        stuck
    }
}

/// What stuck sessions are where no attempt fails.
pub(super) fn failure(stuck: &[Stuck]) -> Option<(Failure, (Verdict, Cause))> {
    let first = stuck.first()?;
    let last = stuck.iter().map(|stuck| stuck.last).max()?;
    let failure = Failure {
        attempt: Attempt::Lost,
        since: first.since,
        began: first.since,
        last,
        attempts: 0,
    };
    Some((failure, (Verdict::Degraded, first.cause)))
}

fn follow(
    old: Option<Followed>,
    session: &Session,
    tally: &Tally,
    now: Timestamp,
) -> Option<Followed> {
    // A window of 0 is a program that does not read.
    if session.retransmissions > 0 && session.unacknowledged > 0 && session.window > 0 {
        Some(sends_in_vain(old, session, tally, now))
    } else {
        is_cut(old, session, tally, now)
    }
}

/// A session whose data nobody acknowledges.
fn sends_in_vain(
    old: Option<Followed>,
    session: &Session,
    tally: &Tally,
    now: Timestamp,
) -> Followed {
    let heard = now - session.heard;
    // Fewer than before: something was acknowledged in between.
    let goes_on = |old: &Followed| match old.stuck.retransmissions {
        0 => old.stuck.since > heard,
        before => before <= session.retransmissions,
    };
    let mut followed = old.filter(goes_on).unwrap_or_else(|| {
        let (since, quiet) = beginning(session, now);
        Followed::new(session, since, quiet)
    });
    let stuck = &mut followed.stuck;
    stuck.retransmissions = session.retransmissions;
    stuck.unacknowledged = session.unacknowledged;
    stuck.last = now;
    // A short last segment can pass where full ones do not, and is answered before the first timeout.
    let first_timeout = stuck.since + session.timeout.unwrap_or_default();
    if !followed.is_proven
        && session.retransmissions >= ENOUGH
        && now.duration_since(stuck.since) >= LONG_ENOUGH
        && heard <= first_timeout
    {
        stuck.cause = cause(session, stuck, tally);
        followed.is_proven = true;
    }
    stuck.is_dropped_here |= drops_since(stuck.since, tally).any(|drop| is_of(drop, session));
    followed
}

/// When the data that is not acknowledged was first sent, and how long it had been quiet before. The
/// timeouts since then are known: each is twice as long as the one before. One more is left for the
/// probe that can come before the first.
fn beginning(session: &Session, now: Timestamp) -> (Timestamp, SignedDuration) {
    let Some(first) = session.timeout else {
        return (now - session.heard, SignedDuration::ZERO);
    };
    let timeouts = (0..session.retransmissions.into())
        .map(|doubled| first.saturating_mul(1 << doubled).min(LONGEST_TIMEOUT));
    let passed = timeouts.fold(session.sent, SignedDuration::saturating_add);
    let quiet = session.heard.saturating_sub(passed).saturating_sub(first);
    (now - passed, quiet.max(SignedDuration::ZERO))
}

/// Why nobody acknowledges.
fn cause(session: &Session, stuck: &Stuck, tally: &Tally) -> Cause {
    if stuck.quiet >= QUIET {
        return Cause::SessionInterrupted;
    }
    if let Some(drop) = drops_since(stuck.since, tally).find(|drop| is_of(drop, session)) {
        return if drop.received { Cause::LocalFirewallIn } else { Cause::LocalFirewallOut };
    }
    let is_too_big = |errors: &IcmpErrors| {
        errors.kind == IcmpKind::TooBig && errors.received && errors.last >= Some(stuck.since)
    };
    if drops_since(stuck.since, tally).any(|drop| &*drop.reason == "PKT_TOO_BIG")
        || tally.icmp.iter().any(is_too_big)
    {
        return Cause::Mtu;
    }
    if drops_since(stuck.since, tally).any(|drop| may_be_of(drop, session)) {
        return Cause::Undetermined;
    }
    if is_full_size(session) { Cause::Stalled } else { Cause::NoAnswer }
}

fn drops_since(since: Timestamp, tally: &Tally) -> impl Iterator<Item = &Drop> {
    tally.dropped.iter().filter(move |drop| drop.last.is_some_and(|last| last >= since))
}

/// Whether segments of the session were dropped by this host's firewall.
fn is_of(drop: &Drop, session: &Session) -> bool {
    drop.cuts_sessions() && drop.port == session.port()
}

/// Whether segments that may be of the session were dropped, and it is not told why.
fn may_be_of(drop: &Drop, session: &Session) -> bool {
    drop.may_cut_sessions() && drop.port == session.port()
}

/// The same, and so many came in by a device and reached no socket: some of what is dropped without a
/// reason was delivered.
fn is_missed(drop: &Drop, session: &Session, tally: &Tally) -> bool {
    let [wire, sockets] = [tally.wire.received.packets, tally.sockets.received.packets];
    may_be_of(drop, session) && sockets > 0 && wire.saturating_sub(sockets) >= drop.packets
}

/// Whether full segments are stuck on a path that is not known to have let any through.
fn is_full_size(session: &Session) -> bool {
    let Session { unacknowledged, segments, mss, acknowledged, arrived, .. } = *session;
    let full = u64::from(segments) * u64::from(mss);
    unacknowledged >= mss
        && u64::from(unacknowledged) * 2 >= full
        && acknowledged < u64::from(mss) * FIRST_BURST
        && arrived <= 1
}

/// A session whose peer sends, and this host drops it: this end only hears nothing.
fn is_cut(
    old: Option<Followed>,
    session: &Session,
    tally: &Tally,
    now: Timestamp,
) -> Option<Followed> {
    let heard = now - session.heard;
    let old = old.filter(|old| old.stuck.since > heard);
    let dropped = tally
        .dropped
        .iter()
        .filter(|drop| drop.received && (is_of(drop, session) || is_missed(drop, session, tally)));
    let news = dropped.filter_map(|drop| Some((drop, drop.last?)));
    let latest = news
        .filter(|(_, last)| *last > heard && now.duration_since(*last) <= NEWS)
        .max_by_key(|(_, last)| *last);
    let Some((drop, last)) = latest else {
        return old;
    };
    let mut followed = old.unwrap_or_else(|| {
        let first = drop.first.filter(|first| *first > heard);
        let since = first.unwrap_or(last);
        let mut followed = Followed::new(session, since, since.duration_since(heard));
        followed.stuck.is_dropped_here = true;
        followed.dropped_before = if first.is_some() { 0 } else { drop.packets.saturating_sub(1) };
        followed
    });
    let stuck = &mut followed.stuck;
    let dropped = drop.packets.saturating_sub(followed.dropped_before);
    if dropped >= ENOUGH.into() && last > stuck.since && !followed.is_proven {
        stuck.cause = if drop.may_cut_sessions() {
            Cause::Undetermined
        } else if stuck.quiet >= QUIET {
            Cause::SessionInterrupted
        } else {
            Cause::LocalFirewallIn
        };
        followed.is_proven = true;
    }
    stuck.last = last;
    Some(followed)
}

impl Followed {
    const fn new(session: &Session, since: Timestamp, quiet: SignedDuration) -> Self {
        let stuck = Stuck {
            local: session.local,
            remote: session.remote,
            since,
            last: since,
            quiet,
            retransmissions: 0,
            unacknowledged: 0,
            mss: session.mss,
            is_open: true,
            is_dropped_here: false,
            cause: Cause::Undetermined,
        };
        Self { stuck, is_proven: false, dropped_before: 0 }
    }
}
