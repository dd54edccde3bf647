//! `backupflow check`: every fault of a config file at once, and nothing else is started.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::output;
use crate::cli::Format;
use crate::clock::Clock;
use crate::config::{self, Config, Fault, Faults, Guard};

/// Version of the JSON answer's layout.
const SCHEMA: u32 = 1;

/// The JSON answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    schema: u32,
    file: &'a str,
    ok: bool,
    faults: &'a [Fault],
    warnings: Vec<String>,
}

/// Checks a config file. Faults go to standard error as text, or to standard output as JSON; with any, the code is 1.
///
/// # Errors
///
/// Only if the answer cannot be written.
pub(crate) fn run(config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let result = load(config);
    let file = config.display().to_string();
    match (format, &result) {
        (Format::Json, _) => output::json(&answer(&file, &result))?,
        (Format::Text, Ok((config, guard))) => {
            output::text(&summary(&file, config, guard, Clock.now())?)?;
        }
        (Format::Text, Err(faults)) => complain(&file, faults)?,
    }
    Ok(ExitCode::from(u8::from(result.is_err())))
}

/// The config, and the `web.toml` that it names.
pub(super) fn load(config: &Path) -> Result<(Config, Guard), Faults> {
    let config = config::load(config)?;
    let guard = match &config.web.config_file {
        Some(file) => config::load_web(file).guard?,
        None => Guard::default(),
    };
    Ok((config, guard))
}

/// Prints the faults of a config file to standard error.
pub(super) fn complain(file: &str, faults: &Faults) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    let colour = stderr.is_terminal() && !is_set("NO_COLOR");
    stderr.write_all(verdict(file, faults, colour).as_bytes())
}

fn answer<'a>(file: &'a str, result: &'a Result<(Config, Guard), Faults>) -> Answer<'a> {
    let faults = result.as_ref().err();
    Answer {
        schema: SCHEMA,
        file,
        ok: result.is_ok(),
        faults: faults.map_or(&[], |faults| &faults.faults),
        warnings: result
            .as_ref()
            .map(|(config, guard)| guard.weaknesses(config.web.listen, Clock.now()))
            .unwrap_or_default(),
    }
}

fn summary(
    file: &str,
    config: &Config,
    guard: &Guard,
    now: Timestamp,
) -> Result<String, std::fmt::Error> {
    let systems = &config.systems;
    let roles = systems.iter().map(|system| system.roles.len()).sum();
    let mut out = String::new();
    let systems_counted = counted(systems.len(), "system");
    writeln!(out, "{file}: ok: {systems_counted}, {}", counted(roles, "role"))?;
    for system in systems {
        let peers = system.peers.values().map(Vec::len).sum();
        writeln!(
            out,
            "  {}: {} as {}, {}",
            system.name,
            system.product.id,
            system.roles.join(", "),
            counted(peers, "peer"),
        )?;
    }
    for weakness in guard.weaknesses(config.web.listen, now) {
        writeln!(out, "  warning: {weakness}")?;
    }
    Ok(out)
}

fn verdict(file: &str, faults: &Faults, colour: bool) -> String {
    let counted = counted(faults.faults.len(), "fault");
    let file = faults.faults.first().map_or(file, |fault| &fault.file);
    format!("{}\n{counted} in {file}\n", faults.render(colour))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// By convention a variable that is set but empty counts as not set.
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"host\"]\n\
                        peers.cluster = [\"10.20.0.0/24\"]\n";

    #[test]
    fn a_good_file_is_summed_up() {
        let config = config::parse("a.toml", GOOD).unwrap();
        let out = summary("a.toml", &config, &Guard::default(), Timestamp::UNIX_EPOCH).unwrap();
        let expected = "a.toml: ok: 1 system, 1 role\n  \
                        ibm-backup-recovery: ibm-backup-recovery as host, 1 peer\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn faults_are_rendered_and_counted() {
        let faults = config::parse("a.toml", "colour = 1\n").unwrap_err();
        let out = verdict("a.toml", &faults, false);
        assert!(out.contains("error: unknown key `colour`\n --> a.toml:1:1\n"), "{out}");
        assert!(out.ends_with("\n\n2 faults in a.toml\n"), "{out}");
    }

    #[test]
    fn json_tells_good_from_bad() {
        let good = config::parse("a.toml", GOOD).map(|config| (config, Guard::default()));
        let json = serde_json::to_value(answer("a.toml", &good)).unwrap();
        let expected = serde_json::json!({"schema": 1, "file": "a.toml", "ok": true, "faults": [], "warnings": []});
        assert_eq!(json, expected);

        let bad = config::parse("a.toml", &format!("{GOOD}colour = 1\n"));
        let bad = bad.map(|config| (config, Guard::default()));
        let json = serde_json::to_value(answer("a.toml", &bad)).unwrap();
        let fault = serde_json::json!({
            "file": "a.toml",
            "line": 5,
            "column": 1,
            "key": "system[0].colour",
            "message": "unknown key `colour`",
            "help": json["faults"][0]["help"],
        });
        let expected = serde_json::json!({"schema": 1, "file": "a.toml", "ok": false, "faults": [fault], "warnings": []});
        assert_eq!(json, expected);
    }
}
