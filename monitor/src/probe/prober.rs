//! The daemon's probes: round after round, from a port of their own.
//!
//! A probe is real traffic and no backup. So all probes of a round share a local port, which the kernel
//! programs leave out of every count: no flow is `ok` because the daemon tried it, and none `blocked`.

use std::{io, net::Ipv4Addr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use monitor_common::Transport;
use tokio::{net::TcpSocket, task::JoinSet};

use super::{Addresses, attempt, plan};
use crate::{
    clock::Clock,
    expect::{Expectation, documented_ports},
    kernel,
    names::KnownNames,
    report::{Probe, Probes},
    source::KernelSource,
};

/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the first round waits for the names of the peers to be resolved.
const RESOLVED_BY: SignedDuration = SignedDuration::from_secs(10);

/// How long the port is kept after a round: as long as its closed connections may still be heard of.
const LINGER: SignedDuration = SignedDuration::from_secs(60);

/// Tries a port that is not documented so many times.
const PORTS_TRIED: usize = 16;

/// Probes what the config asks for, as often as it asks.
#[derive(Debug)]
pub struct Prober {
    clock: Clock,
    every: Option<SignedDuration>,
    asked: Timestamp,
    began: Option<Timestamp>,
    round: JoinSet<(Vec<Probe>, Timestamp)>,
    port: Option<TcpSocket>,
    last: Option<Probes>,
}

impl Prober {
    /// Probes as often as `every` says, from now on.
    pub fn new(every: Option<SignedDuration>, clock: Clock) -> Self {
        Self {
            clock,
            every,
            asked: clock.now(),
            began: None,
            round: JoinSet::new(),
            port: None,
            last: None,
        }
    }

    /// Follows a config that was read again: with a round as soon as none is under way.
    pub fn configure(&mut self, every: Option<SignedDuration>) {
        (self.every, self.asked) = (every, self.clock.now());
        (self.began, self.last) = (None, None);
    }

    /// Takes in a round that has ended, and begins one that is due.
    pub fn tick(
        &mut self,
        now: Timestamp,
        expectations: &[Expectation],
        names: &KnownNames,
        source: &mut KernelSource,
    ) -> Result<(), kernel::Error> {
        self.take_in();
        if !self.round.is_empty() {
            return Ok(());
        }
        if self.is_due(now, names) {
            self.begin(now, expectations, names, source)?;
        } else if self.port.is_some()
            && self.began.is_none_or(|began| has_passed(began, LINGER, now))
        {
            source.leave_out(0)?;
            self.port = None;
        }
        Ok(())
    }

    /// What came of the last round.
    pub fn last(&self) -> Option<&Probes> {
        self.last.as_ref()
    }

    fn is_due(&self, now: Timestamp, names: &KnownNames) -> bool {
        match (self.every, self.began) {
            (None, _) => false,
            (Some(every), Some(began)) => has_passed(began, every, now),
            (Some(_), None) => {
                names.values().all(|known| known.since.is_some())
                    || has_passed(self.asked, RESOLVED_BY, now)
            }
        }
    }

    fn begin(
        &mut self,
        now: Timestamp,
        expectations: &[Expectation],
        names: &KnownNames,
        source: &mut KernelSource,
    ) -> Result<(), kernel::Error> {
        self.began = Some(now);
        let (socket, port) = match undocumented_port(expectations) {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "nothing is probed: there is no local port for it");
                return Ok(());
            }
        };
        source.leave_out(port)?;
        self.port = Some(socket);
        let addresses: Addresses = names
            .iter()
            .map(|(name, known)| (name.clone(), Ok(known.addresses.iter().copied().collect())))
            .collect();
        let (planned, clock) = (plan(expectations, &addresses), self.clock);
        self.round.spawn(async move {
            let probes = attempt(planned, PATIENCE, Some(port)).await;
            (probes, clock.now())
        });
        Ok(())
    }

    fn take_in(&mut self) {
        while let Some(ended) = self.round.try_join_next() {
            // Of a round that a reload overtook, nothing is told.
            let (Ok((results, ended)), Some(began)) = (ended, self.began) else { continue };
            self.last = Some(Probes { began, ended, results });
        }
    }
}

/// Either way: clocks are set back too.
fn has_passed(since: Timestamp, time: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(since).abs() >= time
}

/// A local port that no flow is expected on. As long as the socket is there, the kernel gives the port to
/// no connection of another program.
fn undocumented_port(expectations: &[Expectation]) -> io::Result<(TcpSocket, u16)> {
    let documented = documented_ports(expectations);
    let mut held = Vec::new();
    for _ in 0..PORTS_TRIED {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let port = socket.local_addr()?.port();
        if !documented.contains(Transport::Tcp, port) {
            return Ok((socket, port));
        }
        held.push(socket);
    }
    Err(io::Error::other("all that were tried are documented"))
}
