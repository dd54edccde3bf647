//! A program of the machine that runs beside a test.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{DEADLINE, Namespace, command::program, within};

/// A program inside a namespace, in a folder of its own. It ends with the value.
#[derive(Debug)]
pub struct Running {
    child: Child,
    directory: PathBuf,
}

impl Running {
    /// Starts one in a folder that has its config in the file `config`.
    pub fn start(namespace: &Namespace, words: &[&str], config: &str) -> Self {
        let directory = env::temp_dir().join(format!("{}-{}", namespace.name(), words[0]));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config"), config).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = program("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .arg("--")
            .args(words)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, directory }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In good order first, since it may have children. It may have ended already.
        let pid = i32::try_from(self.child.id()).unwrap();
        if kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok() {
            _ = within(DEADLINE, || self.child.try_wait().unwrap().ok_or(()));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}
