//! Which state of a file was read, so that a change is noticed.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A file as it was at a moment; one that is not there has a stamp too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    path: PathBuf,
    state: Option<State>,
}

/// The time of the last change of the inode moves with whatever replaces, writes or touches a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    /// Of a file as it is now.
    pub fn of(path: &Path) -> Self {
        let state = |metadata: Metadata| State {
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.permissions().mode(),
        };
        Self { path: path.to_owned(), state: fs::metadata(path).ok().map(state) }
    }

    /// Of the same file as it is now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(&self.path)
    }

    /// Which file it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether any user of the machine may read it.
    pub(super) fn is_open_to_all(&self) -> bool {
        const READ_BY_OTHERS: u32 = 0o004;
        self.state.is_some_and(|state| state.mode & READ_BY_OTHERS != 0)
    }
}
