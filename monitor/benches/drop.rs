//! Nanoseconds that a dropped packet costs more while drops are watched.
//!
//! Datagrams are sent over loopback to a socket whose buffer is full, so that the kernel drops every
//! one of them on a port that no document names. Rounds with and without the hook take turns.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes the time and prints its table"
)]

use std::{
    error::Error,
    net::{Ipv4Addr, UdpSocket},
    time::Instant,
};

use jiff::Timestamp;
use monitor::{
    kernel::{MachineHooks, Object},
    observe::{DROP, MACHINE_HOOKS},
};

const ROUNDS: usize = 15;
const DATAGRAMS: u32 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let full = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sender.connect(full.local_addr()?)?;
    // Until there is no room any more.
    for _ in 0..10_000 {
        sender.send(&[0; 1024])?;
    }
    let others: Vec<&str> = MACHINE_HOOKS.into_iter().filter(|hook| *hook != DROP).collect();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(&sender)?);
        let mut object = Object::load(16, false, None)?;
        let hooks = MachineHooks::attach(&mut object, &others, Timestamp::UNIX_EPOCH);
        with.push(round(&sender)?);
        drop(hooks);
    }
    let (without, with) = (median(without), median(with));
    println!("{:<40}{without:>8.0} ns", "send and drop, not watched");
    println!("{:<40}{with:>8.0} ns", "send and drop, watched");
    println!("{:<40}{:>8.0} ns", "a dropped packet costs more by", with - without);
    println!(
        "{:<40}{:>8.2} % of a CPU",
        "at 200,000 unrelated drops a second",
        (with - without) * 200_000.0 / 1e9 * 100.0
    );
    Ok(())
}

/// Nanoseconds for each datagram.
fn round(sender: &UdpSocket) -> std::io::Result<f64> {
    let start = Instant::now();
    for _ in 0..DATAGRAMS {
        sender.send(&[0; 64])?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(DATAGRAMS))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
