//! The status socket: a file that its owner and its group may ask.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::unistd::{Group, chown};
use tokio::{net::UnixStream, time::timeout};

use crate::config::Status;

/// How long another daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file, and the folder if it was made for it. They go with the value.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
    folder: Option<PathBuf>,
}

/// Makes it, with its rights from the first moment on. One that was left behind is replaced, one that
/// is answered is not.
pub(super) async fn bind(status: &Status) -> anyhow::Result<(UnixListener, SocketFile)> {
    let path = &status.socket;
    let folder = make_folder(path)?;
    if is_answered(path).await? {
        bail!("another daemon answers there");
    }
    let beside = path.with_extension(std::process::id().to_string());
    let listener = UnixListener::bind(&beside)?;
    let moved = give(&beside, status).and_then(|()| Ok(fs::rename(&beside, path)?));
    if moved.is_err() {
        drop(fs::remove_file(&beside));
    }
    moved?;
    listener.set_nonblocking(true)?;
    let inode = fs::metadata(path)?.ino();
    Ok((listener, SocketFile { path: path.clone(), inode, folder }))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another daemon may have its own there by now.
        if fs::metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            drop(fs::remove_file(&self.path));
        }
        // It is left where something else is in it.
        if let Some(folder) = &self.folder {
            drop(fs::remove_dir(folder));
        }
    }
}

/// Makes the folder if it is not there, and gives it if so.
fn make_folder(path: &Path) -> io::Result<Option<PathBuf>> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match fs::create_dir(folder) {
        Ok(()) => {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
            Ok(Some(folder.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether somebody listens. Anything but a socket is a mistake in the config.
async fn is_answered(path: &Path) -> anyhow::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
        Ok(file) if !file.file_type().is_socket() => bail!("something else than a socket is there"),
        Ok(_) => {}
    }
    Ok(match timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) => error.kind() != io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => true,
    })
}

fn give(path: &Path, status: &Status) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(status.mode))?;
    if let Some(name) = &status.group {
        let group = Group::from_name(name)?.with_context(|| format!("there is no group {name}"))?;
        chown(path, None, Some(group.gid)).with_context(|| format!("giving it to group {name}"))?;
    }
    Ok(())
}
