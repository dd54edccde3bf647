//! Files that outlive a daemon.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Namespace;

/// A directory that goes with the value, for the daemons of a namespace.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one.
    pub fn new(namespace: &Namespace) -> Self {
        let directory = Path::new("/tmp").join(format!("{}-kept", namespace.name()));
        fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The state file in it.
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// A config whose daemon keeps its state there.
    pub fn keeping(&self, config: &str) -> String {
        format!("{config}\n[state]\nfile = \"{}\"\n", self.state().display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
