//! Every host's `/metrics`, by the address that it is asked at.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;

use super::host::Scraped;

pub(crate) const PORT: u16 = 10150;

/// Of so many hosts one is in trouble.
const TROUBLED: u16 = 20;

/// Answers at a time. Prometheus asks one host after the other, spread over its interval.
const THREADS: usize = 4;

/// The loopback address that stands for a host.
pub(crate) fn address(host: u16) -> Ipv4Addr {
    let [high, low] = host.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

fn host(address: IpAddr) -> Option<u16> {
    match address {
        IpAddr::V4(address) => match address.octets() {
            [127, 1, high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

/// Serves until the process ends.
pub(crate) fn start(scraped: Scraped) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("serving the fleet")?;
    let shared = Arc::new((listener, scraped));
    let started = now();
    for _ in 0..THREADS {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (listener, scraped) = &*shared;
            for stream in listener.incoming().flatten() {
                // Prometheus counts what fails.
                drop(answer(stream, scraped, started));
            }
        });
    }
    Ok(())
}

fn answer(mut stream: TcpStream, scraped: &Scraped, started: u64) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    for line in BufReader::new(&stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let host = host(stream.local_addr()?.ip()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    let of = if host % TROUBLED == 0 { &scraped.troubled } else { &scraped.healthy };
    let now = now();
    let text = of.of(host, now.saturating_sub(started), now);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "what is simulated happens now")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_an_address() {
        for number in [0, 1, 255, 256, 9_999] {
            assert_eq!(host(address(number).into()), Some(number));
        }
        assert_eq!(host(Ipv4Addr::LOCALHOST.into()), None);
    }
}
