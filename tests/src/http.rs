//! Just enough of HTTP to ask the daemon.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use flate2::read::GzDecoder;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body as text, that came compressed by gzip.
    pub fn inflated(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(self.body.as_slice()).read_to_string(&mut text).unwrap();
        text
    }
}

/// Asks for a page, on a thread that is in the right namespace.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> io::Result<Response> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    exchange(socket, path, headers)
}

/// Asks for a page at a socket in the file system.
pub fn ask_socket(socket: &Path, path: &str) -> io::Result<Response> {
    exchange(UnixStream::connect(socket)?, path, "")
}

/// Asks for a page over an open connection.
pub fn exchange(mut socket: impl Read + Write, path: &str, headers: &str) -> io::Result<Response> {
    write!(socket, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("an answer without an end of its headers"))?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Response { status: status.ok_or_else(|| io::Error::other(head.clone()))?, head, body })
}
