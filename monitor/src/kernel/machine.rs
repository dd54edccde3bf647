//! Hooks of the whole machine, each of which is attached once: sockets, connections, drops.

use std::fs::File;

use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, ProgramError, RawTracePoint,
    cgroup_skb::CgroupSkbLink, cgroup_sock_addr::CgroupSockAddrLink,
    raw_trace_point::RawTracePointLink,
};
use jiff::{SignedDuration, Timestamp};
use monitor_common::names;

use super::{Error, Object, in_full, support};
use crate::observe::{self, Hook, MACHINE_HOOKS};

/// How often a hook that could not be attached is tried again.
const RETRY_EVERY: SignedDuration = SignedDuration::from_secs(10);

const DISABLED: &str = "disabled in the config";

/// The hooks, attached or not.
#[derive(Debug)]
pub struct MachineHooks {
    hooks: Vec<Watched>,
    /// When those that are not attached were last tried.
    tried: Timestamp,
}

#[derive(Debug)]
struct Watched {
    hook: &'static str,
    link: Result<Link, String>,
    since: Timestamp,
}

/// Held while the program is attached.
#[derive(Debug)]
#[expect(dead_code, reason = "dropping it detaches the program")]
enum Link {
    Cgroup(CgroupSkbLink),
    TracePoint(RawTracePointLink),
    Connect([CgroupSockAddrLink; 2], RawTracePointLink),
}

impl MachineHooks {
    /// Loads and attaches every hook but those that are disabled. Each is attached for itself: what one kernel
    /// lacks, another has.
    pub fn attach(object: &mut Object, disabled: &[&str], now: Timestamp) -> Self {
        let watch = |hook| {
            let link = if disabled.contains(&hook) {
                Err(DISABLED.to_owned())
            } else {
                attach(object, hook)
            };
            if let Err(error) = &link {
                tracing::warn!(hook, error, "not attached");
            }
            Watched { hook, link, since: now }
        };
        Self { hooks: MACHINE_HOOKS.map(watch).into(), tried: now }
    }

    /// Tries those again that could not be attached, now and then. Says whether one is attached since.
    pub fn retry(&mut self, object: &mut Object, now: Timestamp) -> bool {
        if now.duration_since(self.tried).abs() < RETRY_EVERY {
            return false;
        }
        self.tried = now;
        let mut is_new = false;
        for Watched { hook, link, since } in &mut self.hooks {
            if link.as_ref().is_ok() || link.as_ref().is_err_and(|fault| fault == DISABLED) {
                continue;
            }
            *link = attach(object, hook);
            if link.is_ok() {
                tracing::info!(hook, "attached");
                *since = now;
                is_new = true;
            }
        }
        is_new
    }

    /// Every hook, attached or not.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        self.hooks.iter().map(|watched| Hook {
            hook: watched.hook,
            interface: None,
            fault: watched.link.as_ref().err().cloned(),
            since: watched.since,
        })
    }
}

fn attach(object: &mut Object, hook: &str) -> Result<Link, String> {
    object.offsets()?;
    let link = match hook {
        observe::SOCKET_INGRESS => {
            cgroup(object, names::SOCKET_INGRESS, CgroupSkbAttachType::Ingress)
        }
        observe::SOCKET_EGRESS => cgroup(object, names::SOCKET_EGRESS, CgroupSkbAttachType::Egress),
        observe::CONNECTION => {
            trace_point(object, names::CONNECTION, "inet_sock_set_state").map(Link::TracePoint)
        }
        observe::RETRANSMIT => {
            trace_point(object, names::RETRANSMIT, "tcp_retransmit_skb").map(Link::TracePoint)
        }
        observe::DROP => trace_point(object, names::DROP, "kfree_skb").map(Link::TracePoint),
        _ => connects(object),
    };
    link.map_err(|error| in_full(&error))
}

/// In this order: what began and was not asked for is no failure, the reverse is one.
fn connects(object: &mut Object) -> Result<Link, Error> {
    let begun = trace_point(object, names::BEGUN, "inet_sock_set_state")?;
    let asked = [connect(object, names::CONNECT4)?, connect(object, names::CONNECT6)?];
    Ok(Link::Connect(asked, begun))
}

/// A program that was loaded by an attempt before is still there.
fn loaded(done: Result<(), ProgramError>) -> Result<(), ProgramError> {
    match done {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        done => done,
    }
}

fn cgroup(
    object: &mut Object,
    name: &'static str,
    direction: CgroupSkbAttachType,
) -> Result<Link, Error> {
    let failed = |source| Error::Attach { name, source };
    let root = cgroup_root()?;
    let program: &mut CgroupSkb = object.program_of_kind(name)?;
    loaded(program.load()).map_err(failed)?;
    let id = program.attach(root, direction, CgroupAttachMode::Single).map_err(failed)?;
    Ok(Link::Cgroup(program.take_link(id).map_err(failed)?))
}

fn connect(object: &mut Object, name: &'static str) -> Result<CgroupSockAddrLink, Error> {
    let failed = |source| Error::Attach { name, source };
    let root = cgroup_root()?;
    let program: &mut CgroupSockAddr = object.program_of_kind(name)?;
    loaded(program.load()).map_err(failed)?;
    let id = program.attach(root, CgroupAttachMode::Single).map_err(failed)?;
    program.take_link(id).map_err(failed)
}

fn cgroup_root() -> Result<File, Error> {
    let root = support::cgroup_root().map_err(Error::Unsupported)?;
    File::open(root).map_err(|source| Error::Io { what: "opening the root of cgroup v2", source })
}

fn trace_point(
    object: &mut Object,
    name: &'static str,
    tracepoint: &str,
) -> Result<RawTracePointLink, Error> {
    let failed = |source| Error::Attach { name, source };
    let program: &mut RawTracePoint = object.program_of_kind(name)?;
    loaded(program.load()).map_err(failed)?;
    let id = program.attach(tracepoint).map_err(failed)?;
    program.take_link(id).map_err(failed)
}
