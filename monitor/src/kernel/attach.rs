//! Attaches the programs to interfaces, beside whatever else is attached there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aya::programs::{
    LinkOrder, TcAttachType,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact},
};
use jiff::Timestamp;
use monitor_common::{names, packet::Link};

use super::{Error, Interface, Object, Place, in_full, qdisc, support};
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
    link: Result<SchedClassifierLink, String>,
    since: Timestamp,
}

impl Attachments {
    /// None yet.
    pub fn new(mode: Mode) -> Self {
        Self { mode, interfaces: BTreeMap::new(), made_qdiscs: BTreeSet::new() }
    }

    /// Attaches to interfaces that are new, tries again where it failed, and forgets what is gone.
    pub fn reconcile(&mut self, object: &mut Object, present: &[Interface], now: Timestamp) {
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
            attached.watch(object, self.mode, &mut self.made_qdiscs, now);
        }
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
            .flat_map(|attached| {
                attached.hooks.iter().map(|watched| Hook {
                    hook: watched.hook,
                    interface: Some(attached.interface.name.to_string()),
                    fault: watched.link.as_ref().err().cloned(),
                    since: watched.since,
                })
            })
            .collect()
    }

    /// The name of an interface.
    pub fn name(&self, index: u32) -> Option<Arc<str>> {
        self.interfaces.get(&index).map(|attached| Arc::clone(&attached.interface.name))
    }
}

impl Attached {
    fn watch(
        &mut self,
        object: &mut Object,
        mode: Mode,
        made_qdiscs: &mut BTreeSet<u32>,
        now: Timestamp,
    ) {
        let programs: &[(&str, TcAttachType)] = match self.interface.place {
            Place::Stacked => &[],
            Place::Unsupported => {
                if self.hooks.is_empty() {
                    let link = Err("its link layer is not supported".to_owned());
                    self.hooks.push(Watched { hook: "tc", link, since: now });
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
            let link = match mode {
                Mode::Tcx => {
                    attach_tcx(object, program, &self.interface, direction).or_else(|_| {
                        // A kernel can be new enough and built without TCX.
                        attach_clsact(object, program, &self.interface, direction, made_qdiscs)
                    })
                }
                Mode::Clsact => {
                    attach_clsact(object, program, &self.interface, direction, made_qdiscs)
                }
            };
            let link = link.map_err(|error| in_full(&error));
            if let Err(error) = &link {
                tracing::warn!(interface = &*self.interface.name, hook, error, "not attached");
            }
            match known {
                Some(known) if link.is_ok() => {
                    self.hooks[known] = Watched { hook, link, since: now }
                }
                Some(known) => self.hooks[known].link = link,
                None => self.hooks.push(Watched { hook, link, since: now }),
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
    // One that a killed daemon left behind goes on counting: it is replaced, never doubled.
    let left_behind =
        SchedClassifierLink::attached(&interface.name, direction, PRIORITY, HANDLE, None)
            .map_err(|source| Error::Io { what: "finding the interface", source })?;
    let id = program.attach_to_link(left_behind).or_else(|_| {
        let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
        let options = TcAttachOptions::Netlink(options);
        program.attach_with_options(&interface.name, direction, options)
    });
    program.take_link(id.map_err(failed)?).map_err(failed)
}
