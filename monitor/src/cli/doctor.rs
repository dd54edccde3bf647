//! `doctor`: what works here, and what is lost without the rest.

use std::{fmt::Write as _, path::Path, process::ExitCode};

use serde_json::json;

use super::{Format, check, output};
use crate::{
    clock::Clock,
    kernel::{MachineHooks, Object, in_full, support},
};

pub(super) fn run(config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let mut checks = support::checks();
    if checks.iter().all(|check| check.good || !check.required) {
        checks.extend(programs());
    }
    checks.extend(web(config));
    let works = checks.iter().all(|check| check.good || !check.required);
    match format {
        Format::Json => output::json(&json!({"schema": 1, "ok": works, "checks": checks}))?,
        Format::Text => output::text(&render(&checks, works))?,
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Whether what the config serves is guarded, if there is a config yet.
fn web(config: &Path) -> Option<support::Check> {
    if !config.exists() {
        return None;
    }
    let (name, found, without) = match check::load(config) {
        Err(faults) => {
            let found = format!("`backupflow check` finds {} faults", faults.faults.len());
            ("config", Err(found), "the daemon does not start, or keeps to the config that it has")
        }
        Ok((config, guard)) => {
            let weaknesses = guard.weaknesses(config.web.listen, Clock.now());
            let found = if weaknesses.is_empty() {
                Ok(config.web.listen.to_string())
            } else {
                Err(weaknesses.join("; "))
            };
            ("web port", found, "whoever is on the network may learn which machines back up what")
        }
    };
    let good = found.is_ok();
    let found = found.unwrap_or_else(|lacks| lacks);
    Some(support::Check { name, good, found, without, required: false })
}

/// Loads every program, and attaches for a moment those that belong to no interface.
fn programs() -> Vec<support::Check> {
    const FLOWS: u32 = 16;
    let loaded = Object::load(FLOWS, false, None);
    let mut checks = vec![support::Check {
        name: "programs",
        good: loaded.is_ok(),
        found: match &loaded {
            Ok(_) => "the kernel takes the programs of TC".to_owned(),
            Err(error) => in_full(error),
        },
        without: "nothing can be counted",
        required: true,
    }];
    if let Ok(mut object) = loaded {
        let hooks = MachineHooks::attach(&mut object, &[], Clock.now());
        checks.extend(hooks.hooks().map(|hook| support::Check {
            name: hook.hook,
            good: hook.fault.is_none(),
            found: hook.fault.unwrap_or_else(|| "attached".to_owned()),
            without: support::without_hook(hook.hook),
            required: false,
        }));
    }
    checks
}

fn render(checks: &[support::Check], works: bool) -> String {
    let mut text = String::new();
    for support::Check { name, good, found, without, required } in checks {
        let state = match (good, required) {
            (true, _) => "ok",
            (false, false) => "lacks",
            (false, true) => "FAILS",
        };
        _ = writeln!(text, "{state:<6}{name:<16}{found}");
        if !good {
            _ = writeln!(text, "{:<22}without it: {without}", "");
        }
    }
    let verdict = if works { "backupflow works here" } else { "backupflow does not work here" };
    _ = writeln!(text, "\n{verdict}");
    text
}
