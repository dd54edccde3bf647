//! Attaches the programs to interfaces, beside whatever else is attached there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aya::programs::{
    LinkOrder, TcAttachType,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
};
use jiff::{SignedDuration, Timestamp};
use monitor_common::{names, packet::Link};
use nix::net::if_::if_nametoindex;

use super::{Error, Interface, Object, Place, filter, in_full, qdisc, support, tcx};
use crate::observe::Hook;

/// How programs are attached to TC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// As links of the kernel's own list of programs (since 6.6). They go with the process.
    Tcx,
    /// As filters of the `clsact` queueing discipline.
    Clsact,
}

impl Mode {
    /// The better one that this kernel has.
    pub fn of_this_kernel() -> Self {
        if support::kernel_is_at_least(6, 6) { Self::Tcx } else { Self::Clsact }
    }
}

/// Marks our filters of `clsact`, so that one left behind is found again.
const HANDLE: TcHandle = TcHandle::new(0xbac6, 0xf10a);

/// The highest priority: a filter before ours that accepts a packet would hide it.
const PRIORITY: u16 = 1;

/// How long a program that another one was put before stays where it is at least: two that both want to
/// be the first do not take turns all the time.
const FIRST_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// How many programs are attached before the counts are read again: each can take the kernel 20 ms.
const AT_ONCE: usize = 64;

const NOT_YET: &str = "its turn has not come yet";
const TAKEN_AWAY: &str = "another program took it away";
const PUT_BEFORE: &str = "another program was put before it, and can hide packets";

/// The programs that are attached.
#[derive(Debug)]
pub struct Attachments {
    mode: Mode,
    interfaces: BTreeMap<u32, Attached>,
    made_qdiscs: BTreeSet<u32>,
}

#[derive(Debug)]
struct Attached {
    interface: Interface,
    hooks: Vec<Watched>,
}

/// One program at one interface: a link while it is attached.
#[derive(Debug)]
struct Watched {
    hook: &'static str,
    program: &'static str,
    direction: TcAttachType,
    link: Result<SchedClassifierLink, String>,
    since: Timestamp,
}

impl Attachments {
    /// None yet.
    pub fn new(mode: Mode) -> Self {
        Self { mode, interfaces: BTreeMap::new(), made_qdiscs: BTreeSet::new() }
    }

    /// Attaches to interfaces that are new, tries again where it failed, and forgets what is gone. Says
    /// whether there is more to do than fits into one call.
    pub fn reconcile(
        &mut self,
        object: &mut Object,
        present: &[Interface],
        now: Timestamp,
    ) -> bool {
        let mut room = AT_ONCE;
        self.interfaces.retain(|index, attached| {
            present.iter().any(|interface| {
                interface.index == *index && interface.place == attached.interface.place
            })
        });
        for interface in present {
            let attached = self
                .interfaces
                .entry(interface.index)
                .or_insert_with(|| Attached { interface: interface.clone(), hooks: Vec::new() });
            attached.interface.name = Arc::clone(&interface.name);
            attached.watch(object, self.mode, &mut self.made_qdiscs, &mut room, now);
        }
        room == 0
    }

    /// Finds what somebody else took away, or put a program before that can hide packets. It is not attached
    /// any more then, unless it is too early to overtake the other.
    pub fn find_lost(&mut self, object: &mut Object, now: Timestamp) -> Vec<Hook> {
        let mut lost = Vec::new();
        for (index, Attached { interface, hooks }) in &mut self.interfaces {
            for watched in hooks {
                let Some(fault) = watched.fault(object, *index) else { continue };
                if fault == PUT_BEFORE && now.duration_since(watched.since).abs() < FIRST_EVERY {
                    lost.push(Hook { fault: Some(fault.to_owned()), ..watched.told(interface) });
                    continue;
                }
                if watched.is_filter() && fault == TAKEN_AWAY {
                    self.made_qdiscs.remove(index);
                }
                tracing::warn!(interface = &*interface.name, hook = watched.hook, "{fault}");
                watched.link = Err(fault.to_owned());
                watched.since = now;
                lost.push(watched.told(interface));
            }
        }
        lost
    }

    /// Detaches everything and leaves the interfaces as they were.
    pub async fn remove(self) {
        drop(self.interfaces);
        if !self.made_qdiscs.is_empty() {
            qdisc::remove_unused(&self.made_qdiscs).await;
        }
    }

    /// Every hook, attached or not.
    pub fn hooks(&self) -> Vec<Hook> {
        self.interfaces
            .values()
            .flat_map(|Attached { interface, hooks }| {
                hooks.iter().map(|watched| watched.told(interface))
            })
            .collect()
    }

    /// The name of an interface.
    pub fn name(&self, index: u32) -> Option<Arc<str>> {
        self.interfaces.get(&index).map(|attached| Arc::clone(&attached.interface.name))
    }
}

impl Watched {
    fn told(&self, interface: &Interface) -> Hook {
        Hook {
            hook: self.hook,
            interface: Some(interface.name.to_string()),
            fault: self.link.as_ref().err().cloned(),
            since: self.since,
        }
    }

    /// Only links of filters have an attach type.
    fn is_filter(&self) -> bool {
        self.link.as_ref().is_ok_and(|link| link.attach_type().is_ok())
    }

    /// What somebody else did to a program that was attached. Where the interface is gone, nobody did. Of two
    /// filters with one priority, that which came last is the first.
    fn fault(&self, object: &mut Object, index: u32) -> Option<&'static str> {
        self.link.as_ref().ok()?;
        let own = object.program(self.program).ok()?.info().ok()?.id();
        let (is_there, is_first) = if self.is_filter() {
            let found = filter::program(index, self.direction, PRIORITY, HANDLE.into()).ok()?;
            let first = filter::first(index, self.direction).ok()?;
            (found == Some(own), first == Some((PRIORITY, HANDLE.into())))
        } else {
            let programs = tcx::programs(index, self.direction).ok()?;
            (programs.contains(&own), programs.first() == Some(&own))
        };
        if !is_there {
            return Some(TAKEN_AWAY);
        }
        (!is_first).then_some(PUT_BEFORE)
    }
}

impl Attached {
    fn watch(
        &mut self,
        object: &mut Object,
        mode: Mode,
        made_qdiscs: &mut BTreeSet<u32>,
        room: &mut usize,
        now: Timestamp,
    ) {
        let programs: &[(&'static str, TcAttachType)] = match self.interface.place {
            Place::Stacked => &[],
            Place::Unsupported => {
                if self.hooks.is_empty() {
                    let link = Err("its link layer is not supported".to_owned());
                    let direction = TcAttachType::Ingress;
                    self.hooks.push(Watched {
                        hook: "tc",
                        program: "",
                        direction,
                        link,
                        since: now,
                    });
                }
                &[]
            }
            Place::Loopback => &[(names::WIRE_LOOPBACK, TcAttachType::Ingress)],
            Place::Edge(Link::Ethernet) => &[
                (names::WIRE_INGRESS, TcAttachType::Ingress),
                (names::WIRE_EGRESS, TcAttachType::Egress),
            ],
            Place::Edge(Link::Ip) => &[
                (names::WIRE_INGRESS_L3, TcAttachType::Ingress),
                (names::WIRE_EGRESS_L3, TcAttachType::Egress),
            ],
        };
        for &(program, direction) in programs {
            let hook = match direction {
                TcAttachType::Ingress => "tc-ingress",
                TcAttachType::Egress => "tc-egress",
                TcAttachType::Custom(_) => continue,
            };
            let known = self.hooks.iter().position(|watched| watched.hook == hook);
            if known.is_some_and(|known| self.hooks[known].link.is_ok()) {
                continue;
            }
            // A name can be another's by now: the next list tells.
            if if_nametoindex(&*self.interface.name) != Ok(self.interface.index) {
                return;
            }
            if *room == 0 {
                if known.is_none() {
                    let link = Err(NOT_YET.to_owned());
                    self.hooks.push(Watched { hook, program, direction, link, since: now });
                }
                continue;
            }
            let link = match mode {
                Mode::Tcx => {
                    attach_tcx(object, program, &self.interface, direction).or_else(|_| {
                        // A kernel can be new enough and built without TCX.
                        attach_clsact(object, program, &self.interface, direction, made_qdiscs)
                    })
                }
                Mode::Clsact => {
                    attach_clsact(object, program, &self.interface, direction, made_qdiscs).or_else(
                        // Another kind of filter can have the first priority, and what runs before all filters
                        // where the kernel has it.
                        |error| {
                            attach_tcx(object, program, &self.interface, direction)
                                .map_err(|_no_tcx| error)
                        },
                    )
                }
            };
            let link = link.map_err(|error| in_full(&error));
            if let Err(error) = &link
                && if_nametoindex(&*self.interface.name) == Ok(self.interface.index)
            {
                tracing::warn!(interface = &*self.interface.name, hook, error, "not attached");
            }
            *room -= usize::from(link.is_ok());
            let since = now;
            match known {
                Some(known) if link.is_ok() => {
                    tracing::info!(interface = &*self.interface.name, hook, "attached");
                    self.hooks[known] = Watched { hook, program, direction, link, since };
                }
                Some(known) => self.hooks[known].link = link,
                None => self.hooks.push(Watched { hook, program, direction, link, since }),
            }
        }
    }
}

fn attach_tcx(
    object: &mut Object,
    name: &'static str,
    interface: &Interface,
    direction: TcAttachType,
) -> Result<SchedClassifierLink, Error> {
    let failed = |source| Error::Attach { name, source };
    let program = object.program(name)?;
    // It would count every packet a second time.
    drop(left_behind(interface, direction)?);
    // First, so that no other program hides a packet from ours.
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&interface.name, direction, order).map_err(failed)?;
    program.take_link(id).map_err(failed)
}

fn attach_clsact(
    object: &mut Object,
    name: &'static str,
    interface: &Interface,
    direction: TcAttachType,
    made_qdiscs: &mut BTreeSet<u32>,
) -> Result<SchedClassifierLink, Error> {
    let failed = |source| Error::Attach { name, source };
    match qdisc_add_clsact(&interface.name) {
        Ok(()) => {
            made_qdiscs.insert(interface.index);
        }
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        Err(error) => return Err(failed(error.into())),
    }
    let program = object.program(name)?;
    // It goes on counting until it is replaced.
    let id = program.attach_to_link(left_behind(interface, direction)?).or_else(|_| {
        let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
        let options = TcAttachOptions::Netlink(options);
        program.attach_with_options(&interface.name, direction, options)
    });
    program.take_link(id.map_err(failed)?).map_err(failed)
}

/// The filter of a daemon that was killed, if there is one; it goes when this is dropped.
fn left_behind(
    interface: &Interface,
    direction: TcAttachType,
) -> Result<SchedClassifierLink, Error> {
    SchedClassifierLink::attached(&interface.name, direction, PRIORITY, HANDLE, None)
        .map_err(|source| Error::Io { what: "finding the interface", source })
}
