//! The harness of the tests with real packets: network namespaces, the daemon inside one, traffic
//! of which every packet is known, and what the kernel itself counted of it.
//!
//! All of it needs root. A step that fails ends the test with a sentence; what a test made is
//! removed all the same.

#![expect(clippy::panic, reason = "a step that fails ends the test that asked for it")]
#![expect(clippy::unwrap_used, reason = "as with panics")]
#![expect(clippy::unwrap_in_result, reason = "as with panics")]
#![expect(clippy::get_unwrap, reason = "as with panics, and indexing hides that it can fail")]

mod bpf;
mod bpffs;
mod browser;
mod capture;
mod cgroup;
pub mod command;
pub mod config;
pub mod daemon;
mod directory;
pub mod dns;
pub mod endurance;
pub mod frame;
mod frozen;
mod golden;
pub mod http;
mod kills;
mod monitoring;
mod namespace;
pub mod net;
mod programs;
mod raw;
mod report;
mod running;
pub mod scenarios;
mod screen;
mod sys;
mod tcp;
pub mod tls;
mod traffic;
mod tun;
mod udp;
mod wait;
mod wire;

pub use bpf::{EmptyPrograms, ForeignProgram, Obstacle, UnifiedCgroup, tcx_programs};
pub use bpffs::Bpffs;
pub use browser::Browser;
pub use capture::Capture;
pub use cgroup::Cgroup;
pub use config::{AGENT, CLUSTER};
pub use daemon::{Daemon, binary, series};
pub use directory::Directory;
pub use frozen::Frozen;
pub use golden::golden;
pub use http::Response;
pub use kills::{Kills, kills};
pub use monitoring::{Monitoring, MonitoringFiles};
pub use namespace::{Counted, Namespace};
pub use net::{CONTAINER4, FAR4, GUEST4, HOST4, HOST6, Hosting, PEER4, PEER6, Pair, Routed, at};
pub use programs::{Program, RunCounts};
pub use raw::RawSocket;
pub use report::{
    Counts, Difference, Dropped, Expectation, Failing, Flow, Hook, Name, Peer, Report, Scanner,
    Session, Share, Unexpected,
};
pub use running::Running;
pub use screen::Screen;
pub use sys::{TcpInfo, multipath_socket};
pub use tcp::{
    Exchange, Open, attempt, attempt_by, attempt_from, connect_from, listen, turned_away,
};
pub use traffic::Traffic;
pub use tun::Tun;
pub use udp::{datagrams, udp_socket};
pub use wait::{DEADLINE, elapsed, until, wall_clock, within};
pub use wire::{Wire, segments};
