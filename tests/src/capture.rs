//! A capture by `tcpdump`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{DEADLINE, Namespace, Wire, command::program, until};

/// A capture of what crosses a device. The file goes with the value.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    said: BufReader<ChildStderr>,
    file: PathBuf,
}

impl Capture {
    /// Starts one, and waits until it captures.
    pub fn start(namespace: &Namespace, device: &str) -> Self {
        let file = env::temp_dir().join(format!("{}.pcap", namespace.name()));
        let mut child = program("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .args([
                "--",
                "tcpdump",
                "-n",
                "-U",
                "-Z",
                "root",
                "--immediate-mode",
                "-i",
                device,
                "-w",
            ])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "tcpdump ended");
        }
        Self { child, said, file }
    }

    /// Waits until it holds that many packets, of that many bytes in all.
    pub fn holds(&self, packets: Wire) {
        // The header of the file, and one for each packet.
        let expected = 24 + 16 * packets.packets + packets.bytes;
        until("the capture", DEADLINE, || match fs::metadata(&self.file).unwrap().len() {
            length if length == expected => Ok(()),
            length => Err((length, expected)),
        });
    }

    /// Ends it. Gives the file, and what `tcpdump` said of it.
    pub fn stop(&mut self) -> (&Path, String) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (&self.file, said)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_file(&self.file));
    }
}
