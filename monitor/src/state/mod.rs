//! The file that carries what was seen over a restart and a reboot.

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    discrepancy::{Ledger, Memory},
    report::State,
};

/// Version of the file's format.
const SCHEMA: u32 = 2;
/// How often it is written where nothing changes.
const EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Far more than any config makes of it.
const LARGEST: u64 = 64 << 20;
/// Said of a directory, a device and the like.
const NOT_PLAIN: &str = "not a plain file";

/// The file, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    memory: Memory,
}

/// What any version of the file has.
#[derive(Debug, Deserialize)]
struct Version {
    schema: u32,
}

/// What an earlier run left, `None` where there is nothing that can be trusted. A file that cannot be
/// is set aside.
pub fn load(path: &Path, now: Timestamp) -> Option<Memory> {
    let text = match read(path) {
        Ok(text) => text?,
        Err(error) => {
            tracing::warn!("{}: {error}: what was seen before is not known", path.display());
            return None;
        }
    };
    let why = match parse(&text, now) {
        Ok(memory) => return Some(memory),
        Err(why) => why,
    };
    let aside = beside(path, ".broken");
    let done = match fs::rename(path, &aside) {
        Ok(()) => format!("set aside as {}", aside.display()),
        Err(error) => format!("it cannot be set aside: {error}"),
    };
    tracing::error!("{}: {why}: what was seen before is not known; {done}", path.display());
    None
}

/// `None` where there is no file. Anything but a plain file is left alone.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(io::Error::other(NOT_PLAIN)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(Some(text))
}

fn parse(text: &[u8], now: Timestamp) -> Result<Memory, String> {
    let Version { schema } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if !(1..=SCHEMA).contains(&schema) {
        return Err(format!("it has schema {schema}, and at most {SCHEMA} is known"));
    }
    let File { memory, .. } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    memory.fault(now).map_or(Ok(memory), Err)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Puts the file there in one step. Anything but a plain file is left alone.
fn write(path: &Path, memory: Memory) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other(NOT_PLAIN));
    }
    let mut file = AtomicWriteFile::open(path)?;
    file.write_all(&serde_json::to_vec(&File { schema: SCHEMA, memory })?)?;
    file.commit()
}

/// Writes the file, beside everything else: a disk that is busy holds nothing up.
#[derive(Debug)]
pub struct Keeper {
    last: Option<Timestamp>,
    memories: watch::Sender<Option<(Timestamp, Memory)>>,
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// For a file that need not be there.
    pub fn start(path: &Path) -> Self {
        let (memories, next) = watch::channel(None);
        let file = path.display().to_string();
        let (tell, state) = watch::channel(State { file, written: None, fault: None });
        let task = tokio::spawn(write_each(path.to_owned(), next, tell));
        Self { last: None, memories, state, task }
    }

    /// Writes what a ledger knows, unless that was done within the last minute and nothing has changed.
    pub fn keep(&mut self, now: Timestamp, ledger: &Ledger, has_changed: bool) {
        let is_due = |last: Timestamp| now.duration_since(last).abs() >= EVERY;
        if has_changed || self.last.is_none_or(is_due) {
            self.last = Some(now);
            self.memories.send_replace(Some((now, ledger.memory())));
        }
    }

    /// Writes once more, and waits for it.
    pub async fn finish(self, now: Timestamp, ledger: &Ledger) {
        self.memories.send_replace(Some((now, ledger.memory())));
        drop(self.memories);
        if let Err(error) = self.task.await {
            tracing::error!("what was seen is not written: {error}");
        }
    }

    /// How the writing goes.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }
}

/// Writes every memory that comes, until no more can.
async fn write_each(
    path: PathBuf,
    mut memories: watch::Receiver<Option<(Timestamp, Memory)>>,
    tell: watch::Sender<State>,
) {
    while memories.changed().await.is_ok() {
        let Some((at, memory)) = memories.borrow_and_update().clone() else { continue };
        let target = path.clone();
        let done = spawn_blocking(move || write(&target, memory)).await;
        let fault = done
            .map_err(io::Error::from)
            .and_then(|done| done)
            .err()
            .map(|error| error.to_string());
        tell.send_modify(|state| {
            match (&state.fault, &fault) {
                (None, Some(why)) => tracing::warn!(
                    "{}: {why}: what is seen will not be known after a restart",
                    state.file
                ),
                (Some(_), None) => tracing::info!("{}: written again", state.file),
                (None, None) | (Some(_), Some(_)) => {}
            }
            if fault.is_none() {
                state.written = Some(at);
            }
            state.fault = fault;
        });
    }
}
