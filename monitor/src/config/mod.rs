//! The config file: which backup systems this host takes part in, and who their peers are.
//!
//! Reading goes in two steps. `written` walks the TOML and says what the user wrote, with the place of every value;
//! `system` and `daemon` say what it means, by
//! the catalog. Faults are collected in one `Log` all the
//! way, so that a file with five mistakes needs one round of corrections. A [`Config`] exists only if there was none.

mod certificates;
mod choice;
mod daemon;
mod fault;
mod file;
mod log;
mod network;
mod peer;
mod presence;
mod probe;
mod render;
mod schedule;
mod section;
mod stamp;
mod system;
#[cfg(test)]
mod tests;
mod web;
pub(crate) mod words;
mod written;

use std::collections::BTreeMap;

pub use self::daemon::{Kernel, State, Status, Web};
pub use self::fault::{Fault, Faults};
pub use self::file::{endpoint, load};
pub use self::peer::Peer;
pub(crate) use self::presence::matches;
pub use self::presence::{Due, Presence};
pub use self::probe::Probe;
pub use self::schedule::Schedule;
pub use self::stamp::Stamp;
pub use self::web::{Guard, Guarded, Tls, load as load_web};

/// Where the config is looked for unless a command names another file.
pub const DEFAULT_PATH: &str = "/etc/backupflow/config.toml";

/// A config without faults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The backup systems this host takes part in, in the file's order; never empty.
    pub systems: Vec<System>,
    /// What the daemon serves, and where.
    pub web: Web,
    /// Where `status` asks.
    pub status: Status,
    /// Sizes of what the kernel programs keep.
    pub kernel: Kernel,
    /// What is kept over a restart.
    pub state: State,
    /// What the daemon itself tries.
    pub probe: Probe,
}

/// One product as it is set up on this host.
#[derive(Clone, Debug)]
pub struct System {
    /// Unique over the systems: 1 to 64 letters, digits, `_`, `.` or `-`. The product's id unless the file says otherwise.
    pub name: String,
    /// The documented product.
    pub product: &'static catalog::Product,
    /// What this host is in the product's document; never empty. Every role takes part in at least one chosen flow.
    pub roles: Vec<String>,
    /// The parts of the document that count; empty where all of them do.
    pub sections: Vec<String>,
    /// The deployment scenario; present exactly where the product has scenarios.
    pub scenario: Option<String>,
    /// What is switched on in the product.
    pub options: Vec<String>,
    /// The machines that play a role, by role; no list is empty, and none names a peer twice.
    pub peers: BTreeMap<String, Vec<Peer>>,
    /// Service ports that differ from the documented ones, by flow id; never 0.
    pub ports: BTreeMap<String, u16>,
    /// The flows of which the file says when they are due.
    pub expect: Vec<Presence>,
}

/// Reads a config from its text; `file` is only the name that faults carry.
///
/// # Errors
///
/// Everything that is wrong with the text, syntax and meaning together, in the order of the text. Where a line cannot be
/// parsed, what would only follow from that is left out.
pub fn parse(file: &str, text: &str) -> Result<Config, Faults> {
    let text = without_mark(text);
    let mut log = log::Log::new(file, text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in &errors {
        log.syntax(error);
    }
    let written = written::Document::read(table.get_ref(), &mut log);
    let systems = system::mean_all(&written.systems, &mut log);
    let web = daemon::mean_web(&written.web, &mut log);
    let status = daemon::mean_status(&written.status, &mut log);
    let kernel = daemon::mean_kernel(&written.kernel, &mut log);
    let state = daemon::mean_state(&written.state, &mut log);
    let probe = probe::mean_probe(written.probe.as_ref(), &mut log);
    match (systems, web, status, kernel, state, probe) {
        (Some(systems), Some(web), Some(status), Some(kernel), Some(state), Some(probe))
            if log.is_clean() =>
        {
            Ok(Config { systems, web, status, kernel, state, probe })
        }
        _ => Err(log.finish()),
    }
}

/// Where a daemon answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its socket.
    pub status: Status,
    /// Its web port.
    pub web: Web,
}

/// What a text says of that, whatever else is wrong with it; the defaults where it says nothing that can be used.
fn endpoint_in(text: &str) -> Endpoint {
    let mut log = log::Log::new("", text);
    let (table, _) = toml::de::DeTable::parse_recoverable(text);
    let written = written::Document::read(table.get_ref(), &mut log);
    Endpoint {
        status: daemon::mean_status(&written.status, &mut log).unwrap_or_default(),
        web: daemon::mean_web(&written.web, &mut log).unwrap_or_default(),
    }
}

/// Editors on other systems write a byte order mark; it would shift every column of the first line.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
