//! What a transfer over a veth pair costs with the daemon beside it, against the same without.
//!
//! Rounds with and without take turns. The processor time is that of the whole machine, so nothing else
//! may run.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a benchmark takes the time, prints its table, and ends where something fails"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    thread,
    time::Instant,
};

use tests::{Daemon, HOST4, Pair, attempt, config, listen};

const ROUNDS: usize = 15;
const SERVICE: u16 = 50051;
const MEBIBYTE: usize = 1 << 20;

fn main() {
    println!("median of {ROUNDS} rounds with the daemon and {ROUNDS} without, in turns\n");
    println!(
        "{:<28}{:>14}{:>14}{:>14}{:>14}{:>12}",
        "", "Gbit/s", "Gbit/s", "CPU ns/KiB", "CPU ns/KiB", "CPU"
    );
    println!(
        "{:<28}{:>14}{:>14}{:>14}{:>14}{:>12}",
        "", "without", "with", "without", "with", "ratio"
    );
    compare("segments of 64 KiB (offloads)", &Pair::new(), 16_384);
    compare("segments of 1448 bytes", &Pair::without_offloads(), 2048);
}

fn compare(name: &str, pair: &Pair, mebibytes: usize) {
    transfer(pair, mebibytes);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(transfer(pair, mebibytes));
        let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
        with.push(transfer(pair, mebibytes));
        let report = daemon.next_report();
        let seen = report.expectations.iter().any(|e| e.flow == "agent-50051" && e.verdict == "ok");
        assert!(seen, "the daemon did not see the transfer");
    }
    let ratios =
        without.iter().zip(&with).map(|(without, with)| with.processor / without.processor);
    let ratio = median(ratios.collect());
    let of = |rounds: &[Cost], what: fn(&Cost) -> f64| median(rounds.iter().map(what).collect());
    let speed = |cost: &Cost| cost.bytes * 8.0 / cost.seconds / 1e9;
    let each = |cost: &Cost| cost.processor * 1e9 / (cost.bytes / 1024.0);
    println!(
        "{name:<28}{:>14.1}{:>14.1}{:>14.0}{:>14.0}{ratio:>12.3}",
        of(&without, speed),
        of(&with, speed),
        of(&without, each),
        of(&with, each),
    );
}

/// Of one transfer: bytes, and seconds of the clock and of all processors.
struct Cost {
    bytes: f64,
    seconds: f64,
    processor: f64,
}

/// The peer sends to the service of the host.
fn transfer(pair: &Pair, mebibytes: usize) -> Cost {
    let address = SocketAddr::new(HOST4, SERVICE);
    let listener = listen(&pair.host, address);
    let (busy, started) = (busy(), Instant::now());
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; MEBIBYTE];
        let mut received = 0;
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return received,
                bytes => received += bytes,
            }
        }
    });
    let mut stream = attempt(&pair.peer, address, tests::DEADLINE).unwrap();
    let data = vec![7; MEBIBYTE];
    for _ in 0..mebibytes {
        stream.write_all(&data).unwrap();
    }
    drop(stream);
    let bytes = receiver.join().unwrap();
    assert_eq!(bytes, mebibytes * MEBIBYTE);
    let (seconds, processor) = (started.elapsed().as_secs_f64(), self::busy() - busy);
    Cost { bytes: bytes as f64, seconds, processor }
}

/// Seconds that the processors of the machine were not idle.
fn busy() -> f64 {
    const TICKS: f64 = 100.0;
    const IDLE: [usize; 2] = [3, 4];
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let all = stat.lines().next().unwrap().split_whitespace().skip(1).take(8);
    let busy = all.enumerate().filter(|(column, _)| !IDLE.contains(column));
    busy.map(|(_, ticks)| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
