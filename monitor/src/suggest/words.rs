//! The reasons, in words.

use std::collections::BTreeSet;

use super::{
    Seen,
    ports::{Port, Use},
    strength::{Strength, strength},
};
use crate::observe::Side;

/// Why a used port speaks for a role.
pub(super) fn reason(port: Port, used: &Use, strength: Strength, flows: &BTreeSet<&str>) -> String {
    let what = match port.side {
        Side::Server if used.is_listening => {
            let names: Vec<String> =
                used.processes.iter().map(|name| name.escape_debug().to_string()).collect();
            let who = if names.is_empty() { "this host".to_owned() } else { names.join(", ") };
            format!("{who} listens on {port}")
        }
        Side::Server => format!("connections to {port} of this host were seen"),
        Side::Client => format!("this host connects to {port}"),
    };
    let flows: Vec<&str> = flows.iter().copied().collect();
    let flows = flows.join(", ");
    let shared =
        if strength == Strength::Telling { "" } else { "; other software uses this port too" };
    format!("{what} ({flows}{shared})")
}

/// What was seen of a machine at a port.
pub(super) fn sighting(port: Port, seen: Seen, watched: Option<u64>, is_guess: bool) -> String {
    let mut parts = Vec::new();
    if seen.connections > 0 {
        parts.push(format!("{} now", counted(seen.connections, "connection")));
    }
    if let Some(seconds) = watched.filter(|_| seen.packets > 0) {
        let packets = counted(seen.packets, "packet");
        let opened = match seen.opened {
            0 => String::new(),
            opened => format!(", {} opened", counted(opened, "connection")),
        };
        parts.push(format!("{packets}{opened} in {seconds} s"));
    }
    let end = match port.side {
        Side::Server => "this host's",
        Side::Client => "its",
    };
    let guess = if is_guess { " (a guess: other software uses this port too)" } else { "" };
    format!("{end} port {port}: {}{guess}", parts.join(", "))
}

/// How machines were seen of which it is not known what they are, and what to do about it.
pub(super) fn undecided(port: Port, roles: &BTreeSet<String>) -> String {
    let seen = match port.side {
        Side::Server => format!("connected to port {port} of this host"),
        Side::Client => format!("this host connected to port {port} there"),
    };
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let roles = roles.join(" or ");
    if strength(port.port) == Strength::Weak {
        format!("{seen}, as much other software does. Add to {roles} what belongs there")
    } else {
        format!("{seen}. Add to {roles}, where it belongs")
    }
}

/// A number of things.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
