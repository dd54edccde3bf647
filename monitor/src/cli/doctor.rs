//! `doctor`: what works here, and what is lost without the rest.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::json;

use super::{Format, output};
use crate::kernel::{Object, support};

pub(super) fn run(format: Format) -> anyhow::Result<ExitCode> {
    let mut checks = support::checks();
    if checks.iter().all(|check| check.good || !check.required) {
        checks.push(load());
    }
    let works = checks.iter().all(|check| check.good || !check.required);
    match format {
        Format::Json => output::json(&json!({"schema": 1, "ok": works, "checks": checks}))?,
        Format::Text => output::text(&render(&checks, works))?,
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Loads every program, attaches none.
fn load() -> support::Check {
    const FLOWS: u32 = 16;
    let loaded = Object::load(FLOWS, false);
    support::Check {
        name: "programs",
        good: loaded.is_ok(),
        found: match loaded {
            Ok(_) => "the kernel takes every program".to_owned(),
            Err(error) => format!("{:#}", anyhow::Error::new(error)),
        },
        without: "nothing can be counted",
        required: true,
    }
}

fn render(checks: &[support::Check], works: bool) -> String {
    let mut text = String::new();
    for support::Check { name, good, found, without, required } in checks {
        let state = match (good, required) {
            (true, _) => "ok",
            (false, false) => "lacks",
            (false, true) => "FAILS",
        };
        _ = writeln!(text, "{state:<6}{name:<14}{found}");
        if !good {
            _ = writeln!(text, "{:<20}without it: {without}", "");
        }
    }
    let verdict = if works { "backupflow works here" } else { "backupflow does not work here" };
    _ = writeln!(text, "\n{verdict}");
    text
}
