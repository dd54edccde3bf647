//! Builds the daemon, and shows how it goes.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read, stdout},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    command::{end_group, program},
    stop::Stop,
};

/// Builds the released program. It takes one line on a terminal, and elsewhere one for each crate.
pub(crate) fn release(stop: &Stop) -> anyhow::Result<()> {
    let mut child = program(&["cargo", "build", "--release", "--package", "monitor"])
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let messages = Arc::new(Mutex::new(String::new()));
    let reader = child.stderr.take().map(|stderr| {
        let messages = Arc::clone(&messages);
        thread::spawn(move || follow(stderr, &messages))
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop.requested() {
            end_group(&mut child);
            bail!("stopped");
        }
        thread::sleep(Duration::from_millis(50));
    };
    // It ends with the pipe, and has nothing to say.
    drop(reader.map(thread::JoinHandle::join));
    if !status.success() {
        bail!("{}", messages.lock().unwrap_or_else(PoisonError::into_inner));
    }
    Ok(())
}

/// Shows which crate cargo is at, and keeps everything else that it says.
fn follow(stderr: impl Read, messages: &Mutex<String>) {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("     {spinner} {elapsed} {wide_msg}") {
        line.set_style(style);
    }
    let terminal = stdout().is_terminal();
    if terminal {
        line.enable_steady_tick(Duration::from_millis(200));
    }
    for said in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some(name) = crate_at_work(&said) {
            line.set_message(name.to_owned());
            if !terminal {
                println!("     {name}");
            }
        } else {
            let mut messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push_str(&said);
            messages.push('\n');
        }
    }
    line.finish_and_clear();
}

/// The crate of a line such as `   Compiling serde v1.0.0`, also where a build script says it.
fn crate_at_work(line: &str) -> Option<&str> {
    let words = line.rsplit_once("Compiling ")?.1;
    Some(words.split(" (").next().unwrap_or(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_told_from_messages() {
        assert_eq!(crate_at_work("   Compiling serde v1.0.0"), Some("serde v1.0.0"));
        let nested = "warning: monitor@0.1.0:    Compiling monitor-ebpf v0.1.0 (/a/b)";
        assert_eq!(crate_at_work(nested), Some("monitor-ebpf v0.1.0"));
        assert_eq!(crate_at_work("error: it does not"), None);

        let messages = Mutex::default();
        follow("   Compiling a v1\nerror: b\n  --> c\n".as_bytes(), &messages);
        assert_eq!(*messages.lock().unwrap(), "error: b\n  --> c\n");
    }
}
