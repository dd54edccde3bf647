//! Hooks of the whole machine, each of which is attached once: sockets, connections, drops.

use std::fs::File;

use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, RawTracePoint,
    cgroup_skb::CgroupSkbLink, cgroup_sock_addr::CgroupSockAddrLink,
    raw_trace_point::RawTracePointLink,
};
use jiff::Timestamp;
use monitor_common::names;

use super::{Error, Object, in_full, support};
use crate::observe::{self, Hook};

/// The hooks, attached or not.
#[derive(Debug)]
pub struct MachineHooks {
    hooks: Vec<Watched>,
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
    /// Loads and attaches every hook but those that are disabled, each for itself: what one kernel
    /// lacks, another has.
    pub fn attach(object: &mut Object, disabled: &[&str], now: Timestamp) -> Self {
        let known = object.offsets().map_err(str::to_owned);
        let mut hooks = Vec::new();
        let mut watch = |hook, attach: &mut dyn FnMut() -> Result<Link, Error>| {
            let link = if disabled.contains(&hook) {
                Err("disabled in the config".to_owned())
            } else {
                known.clone().and_then(|()| attach().map_err(|error| in_full(&error)))
            };
            if let Err(error) = &link {
                tracing::warn!(hook, error, "not attached");
            }
            hooks.push(Watched { hook, link, since: now });
        };
        watch(observe::SOCKET_INGRESS, &mut || {
            cgroup(object, names::SOCKET_INGRESS, CgroupSkbAttachType::Ingress)
        });
        watch(observe::SOCKET_EGRESS, &mut || {
            cgroup(object, names::SOCKET_EGRESS, CgroupSkbAttachType::Egress)
        });
        for (hook, program, tracepoint) in [
            (observe::CONNECTION, names::CONNECTION, "inet_sock_set_state"),
            (observe::RETRANSMIT, names::RETRANSMIT, "tcp_retransmit_skb"),
            (observe::DROP, names::DROP, "kfree_skb"),
        ] {
            watch(hook, &mut || trace_point(object, program, tracepoint).map(Link::TracePoint));
        }
        watch(observe::CONNECT, &mut || {
            // In this order: what began and was not asked for is no failure, the reverse is one.
            let begun = trace_point(object, names::BEGUN, "inet_sock_set_state")?;
            let asked = [connect(object, names::CONNECT4)?, connect(object, names::CONNECT6)?];
            Ok(Link::Connect(asked, begun))
        });
        Self { hooks }
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

fn cgroup(
    object: &mut Object,
    name: &'static str,
    direction: CgroupSkbAttachType,
) -> Result<Link, Error> {
    let failed = |source| Error::Attach { name, source };
    let root = cgroup_root()?;
    let program: &mut CgroupSkb = object.program_of_kind(name)?;
    program.load().map_err(failed)?;
    let id = program.attach(root, direction, CgroupAttachMode::Single).map_err(failed)?;
    Ok(Link::Cgroup(program.take_link(id).map_err(failed)?))
}

fn connect(object: &mut Object, name: &'static str) -> Result<CgroupSockAddrLink, Error> {
    let failed = |source| Error::Attach { name, source };
    let root = cgroup_root()?;
    let program: &mut CgroupSockAddr = object.program_of_kind(name)?;
    program.load().map_err(failed)?;
    let id = program.attach(root, CgroupAttachMode::Single).map_err(failed)?;
    program.take_link(id).map_err(failed)
}

fn cgroup_root() -> Result<File, Error> {
    let root = support::cgroup_root().ok_or(Error::Unsupported("cgroup v2 is not mounted"))?;
    File::open(root).map_err(|source| Error::Io { what: "opening the root of cgroup v2", source })
}

fn trace_point(
    object: &mut Object,
    name: &'static str,
    tracepoint: &str,
) -> Result<RawTracePointLink, Error> {
    let failed = |source| Error::Attach { name, source };
    let program: &mut RawTracePoint = object.program_of_kind(name)?;
    program.load().map_err(failed)?;
    let id = program.attach(tracepoint).map_err(failed)?;
    program.take_link(id).map_err(failed)
}
