//! Everything that touches the kernel: programs, maps, interfaces and sockets.

mod attach;
mod batch;
pub mod btf;
mod cast;
mod clock;
mod conntrack;
mod counts;
mod filter;
mod handshakes;
mod interfaces;
mod log;
mod machine;
mod netlink;
mod object;
pub mod offsets;
mod pins;
mod processes;
mod qdisc;
mod refusals;
mod routes;
mod sessions;
mod shared;
mod sockets;
pub mod support;
mod tcx;

use std::{io, sync::Arc};

pub use attach::{Attachments, Mode};
pub use clock::Ages;
pub use conntrack::{Conntrack, conntrack};
pub use counts::{CountMap, Counts, Layout};
pub use handshakes::Handshakes;
pub use interfaces::{Interface, Interfaces, Place, watch_interfaces};
pub use log::KernelLog;
pub use machine::MachineHooks;
pub use object::Object;
pub use offsets::Reasons;
pub use pins::Pins;
pub use processes::holders;
pub use refusals::{blocked_by_ipsec, runs_xdp};
pub use routes::{Found, Way, route_to};
pub use sessions::{OpenSocket, sessions};
pub use shared::SharedMap;
pub use sockets::{Listener, connections, listeners, open_flows};

/// Why the kernel did not do what the daemon asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The embedded object could not be prepared for this kernel.
    #[error("loading the kernel programs")]
    Object(#[source] Box<aya::EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the program {name}")]
    Program {
        /// Name in the object.
        name: &'static str,
        /// What the kernel answered.
        #[source]
        source: Arc<aya::programs::ProgramError>,
    },
    /// The kernel did not attach a program.
    #[error("attaching {name}")]
    Attach {
        /// Name in the object.
        name: &'static str,
        /// What the kernel answered.
        #[source]
        source: aya::programs::ProgramError,
    },
    /// The programs' log could not be opened.
    #[error("opening the kernel programs' log")]
    Log(#[source] aya_log::Error),
    /// This kernel, or this machine, does not have what is needed.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The object lacks a program or map.
    #[error("the kernel object has no {0}")]
    Missing(&'static str),
    /// A map could not be read or written.
    #[error("the map {name}")]
    Map {
        /// Name in the object.
        name: &'static str,
        /// What the kernel answered.
        #[source]
        source: aya::maps::MapError,
    },
    /// A system call failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
}

/// An error with all that caused it, in a line.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
