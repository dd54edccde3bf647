//! A capture by `tcpdump`.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{DEADLINE, Namespace, Wire, command::program, udp_socket, until};

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
        Self::start_with(namespace, device, &[])
    }

    /// Starts one with further arguments.
    pub fn start_with(namespace: &Namespace, device: &str, arguments: &[&str]) -> Self {
        let name = [&[namespace.name(), device], arguments].concat().join("-");
        let file = env::temp_dir().join(format!("{name}.pcap"));
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
            .args(arguments)
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

    /// Waits until it holds all that was sent before: a datagram that is sent from a namespace now comes last.
    pub fn follows(&self, from: &Namespace, to: SocketAddr) {
        const LAST: &[u8] = b"the end of the capture";
        let socket = udp_socket(from, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        socket.send_to(LAST, to).unwrap();
        until("the end of the capture", DEADLINE, || {
            let file = fs::read(&self.file).unwrap();
            let is_there = file.windows(LAST.len()).any(|bytes| bytes == LAST);
            if is_there { Ok(()) } else { Err(file.len()) }
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
