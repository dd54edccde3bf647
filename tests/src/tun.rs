//! A device without link layer whose other end is the test.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::{DEADLINE, Namespace, sys, until};

/// A tun device; it goes with the value.
#[derive(Debug)]
pub struct Tun(File);

impl Tun {
    /// A new one.
    pub fn new(namespace: &Namespace, name: &str) -> Self {
        let file = namespace.inside(|| {
            let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
            let file = OwnedFd::from(file.unwrap_or_else(|error| {
                panic!("/dev/net/tun cannot be opened ({error}): load the module tun")
            }));
            sys::make_tun(&file, name);
            file
        });
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        Self(file.into())
    }

    /// The host receives a packet.
    pub fn send(&mut self, packet: &[u8]) {
        self.0.write_all(packet).unwrap();
    }

    /// Waits for the next packet that the host sends.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 65536];
        let length = until("a packet at the tun device", DEADLINE, || self.0.read(&mut packet));
        packet.truncate(length);
        packet
    }
}
