//! The demo's traffic: real listeners and clients, a connection a second for each flow.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{JoinHandle, sleep},
    time::Duration,
};

use anyhow::{Context as _, anyhow};

use super::network::{CLIENT, CLUSTER, HOST, spawn_in};
use crate::stop::Stop;

/// Who connects to whom, and at which port.
const FLOWS: &[(&str, &str, &str)] = &[
    (CLUSTER, HOST, "10.20.0.10:2548"),
    (CLUSTER, HOST, "10.20.0.10:50051"),
    (HOST, CLUSTER, "10.20.0.20:11113"),
    (CLIENT, HOST, "10.30.0.10:32004"),
    (CLIENT, HOST, "10.30.0.10:8443"),
];

/// Bytes that a client sends each time.
const PAYLOAD: usize = 64 * 1024;

/// How long a client waits for an answer, and how often it tries.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a listener waits before it looks again.
const TICK: Duration = Duration::from_millis(50);

/// The threads that make the traffic.
#[derive(Debug)]
pub(crate) struct Traffic(Vec<JoinHandle<anyhow::Result<()>>>);

impl Traffic {
    /// Starts a listener and a client for each flow.
    pub(crate) fn start(stop: &Stop) -> Self {
        let mut threads = Vec::new();
        for &(client, server, address) in FLOWS {
            let stop_listening = stop.clone();
            threads.push(spawn_in(server, move || listen(address, &stop_listening)));
            let stop_connecting = stop.clone();
            threads.push(spawn_in(client, move || connect(address, &stop_connecting)));
        }
        Self(threads)
    }

    /// Whether a thread gave up.
    pub(crate) fn has_failed(&self) -> bool {
        self.0.iter().any(JoinHandle::is_finished)
    }

    /// Waits for the threads, which were told to stop.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        let ends = self.0.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))).context("traffic")
        });
        ends.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Takes connections, reads what comes and thanks for it.
fn listen(address: &str, stop: &Stop) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).context(address.to_owned())?;
    listener.set_nonblocking(true)?;
    while !stop.requested() {
        match listener.accept() {
            // A client that goes away in the middle is the client's affair.
            Ok((stream, _)) => drop(thank(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(TICK),
            Err(error) => return Err(error).context(address.to_owned()),
        }
    }
    Ok(())
}

fn thank(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut vec![0; PAYLOAD])?;
    stream.write_all(b"ok")
}

/// Connects once a second, sends something and waits for the thanks.
fn connect(address: &str, stop: &Stop) -> anyhow::Result<()> {
    let address: SocketAddr = address.parse()?;
    while !stop.requested() {
        // That it fails for one of the flows is the point of the demo.
        drop(exchange(address));
        stop.pause(PATIENCE);
    }
    Ok(())
}

fn exchange(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&vec![7; PAYLOAD])?;
    stream.read_exact(&mut [0; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_thanked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || thank(listener.accept().unwrap().0));
        exchange(address).unwrap();
        server.join().unwrap().unwrap();
        // Now nobody listens there.
        exchange(address).unwrap_err();
    }
}
