//! The file, in a directory of each test's own.

use std::time::Duration;

use super::*;

/// A directory that goes with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("backupflow-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    fn file(&self) -> PathBuf {
        self.0.join("var/state.json")
    }

    /// What is in the file's directory.
    fn files(&self) -> Vec<String> {
        let found = fs::read_dir(self.0.join("var")).unwrap();
        let mut files: Vec<String> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn memory() -> Memory {
    Ledger::new(now()).memory()
}

/// Waits until something was written, or was not.
async fn next(state: &mut watch::Receiver<State>) {
    tokio::time::timeout(Duration::from_secs(20), state.changed()).await.unwrap().unwrap();
}

#[test]
fn what_is_written_is_loaded() {
    let directory = Directory::new("written");
    let file = directory.file();
    assert_eq!(load(&file, now()), None);
    for _ in 0..2 {
        write(&file, memory()).unwrap();
        assert_eq!(load(&file, now()), Some(memory()));
        assert_eq!(directory.files(), ["state.json"]);
    }
}

#[test]
fn what_cannot_be_trusted_is_set_aside_as_it_is() {
    let good = serde_json::to_string(&File { schema: SCHEMA, memory: memory() }).unwrap();
    let day_before = now() - SignedDuration::from_hours(24);
    for (test, text, at) in [
        ("empty", String::new(), now()),
        ("half", good.split_at(good.len() / 2).0.to_owned(), now()),
        ("schema", good.replace("\"schema\":2", "\"schema\":3"), now()),
        ("key", good.replace("\"blind\"", "\"blint\""), now()),
        ("time", good.clone(), day_before),
    ] {
        let directory = Directory::new(test);
        let file = directory.file();
        write(&file, memory()).unwrap();
        fs::write(&file, &text).unwrap();
        assert_eq!(load(&file, at), None, "{test}");
        assert_eq!(directory.files(), ["state.json.broken"], "{test}");
        let aside = fs::read_to_string(directory.0.join("var/state.json.broken")).unwrap();
        assert_eq!(aside, text, "{test}");
        // The next one is written as if there had been none.
        assert_eq!(load(&file, at), None, "{test}");
        write(&file, memory()).unwrap();
        assert_eq!(load(&file, now()), Some(memory()), "{test}");
    }
}

#[test]
fn what_is_no_plain_file_is_left_alone() {
    let directory = Directory::new("plain");
    let file = directory.file();
    fs::create_dir_all(&file).unwrap();
    assert_eq!(load(&file, now()), None);
    assert_eq!(write(&file, memory()).unwrap_err().to_string(), NOT_PLAIN);
    assert!(file.is_dir());
    let device = Path::new("/dev/null");
    assert_eq!(load(device, now()), None);
    assert_eq!(write(device, memory()).unwrap_err().to_string(), NOT_PLAIN);
}

#[tokio::test]
async fn it_is_written_once_a_minute_and_at_the_end() {
    let directory = Directory::new("minute");
    let file = directory.file();
    let ledger = Ledger::new(now());
    let mut keeper = Keeper::start(&file);
    let mut written = keeper.state.clone();
    let after = |seconds| now() + SignedDuration::from_secs(seconds);
    keeper.keep(now(), &ledger, false);
    next(&mut written).await;
    assert_eq!(keeper.state().written, Some(now()));
    fs::remove_file(&file).unwrap();
    keeper.keep(after(59), &ledger, false);
    keeper.keep(after(60), &ledger, false);
    next(&mut written).await;
    assert_eq!(keeper.state().written, Some(after(60)));
    fs::remove_file(&file).unwrap();
    keeper.finish(after(61), &ledger).await;
    assert_eq!(load(&file, now()), Some(memory()));
}

#[tokio::test]
async fn failure_is_told_until_it_is_over() {
    let directory = Directory::new("failure");
    let file = directory.file();
    fs::write(directory.0.join("var"), "").unwrap();
    let ledger = Ledger::new(now());
    let mut keeper = Keeper::start(&file);
    let mut written = keeper.state.clone();
    keeper.keep(now(), &ledger, false);
    next(&mut written).await;
    let state = keeper.state();
    assert_eq!((state.written, state.file), (None, file.display().to_string()));
    assert!(state.fault.is_some());
    fs::remove_file(directory.0.join("var")).unwrap();
    let later = now() + SignedDuration::from_secs(60);
    keeper.keep(later, &ledger, false);
    next(&mut written).await;
    let state = keeper.state();
    assert_eq!((state.written, state.fault), (Some(later), None));
    keeper.finish(later, &ledger).await;
}
