//! Which process holds a socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirEntry},
    path::Path,
};

/// Names of the processes that hold sockets, by the sockets' inodes: those that this process may look at.
pub fn holders(inodes: &BTreeSet<u32>) -> BTreeMap<u32, String> {
    let mut holders = BTreeMap::new();
    let is_process = |entry: &DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())
    };
    for process in entries(Path::new("/proc")).filter(is_process) {
        let files = entries(&process.path().join("fd"));
        for inode in files.filter_map(|file| socket(&file)).filter(|inode| inodes.contains(inode)) {
            if let Ok(name) = fs::read_to_string(process.path().join("comm")) {
                holders.entry(inode).or_insert_with(|| name.trim_end().to_owned());
            }
        }
    }
    holders
}

/// None, where it may not be read or is gone.
fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok)
}

/// The inode of an open file that is a socket.
fn socket(file: &DirEntry) -> Option<u32> {
    let target = fs::read_link(file.path()).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
