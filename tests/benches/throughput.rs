//! What a transfer over a veth pair costs with the daemon beside it, against the same without, and with
//! programs that do nothing at the same hooks.
//!
//! One thread does both ends, so that nothing depends on who is woken up when: the kernel hands a segment
//! from the one socket to the other within `send`. Its processor time is all that the transfer takes, the
//! daemon's comes on top.

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
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use tests::{Daemon, EmptyPrograms, HOST4, Pair, attempt, config, listen};

const ROUNDS: usize = 31;
const SERVICE: u16 = 50051;
/// What is sent at once: 45 segments of 1,448 bytes, the most that one coalesced packet holds.
const PIECE: usize = 45 * 1448;
/// Pieces in the buffer that is sent: more than the processor's cache has room for, as with a backup, which
/// reads everything once.
const NEW: usize = 512;
/// The same piece each time.
const CACHED: usize = 1;

fn main() {
    println!("median of {ROUNDS} rounds of each, in turns\n");
    println!("{:<23}{:>22}{:>30}{:>18}", "", "Gbit/s", "CPU ns/KiB", "CPU ratio");
    println!(
        "{:<23}{:>8}{:>7}{:>7}{:>12}{:>9}{:>9}{:>11}{:>7}",
        "segments of", "without", "empty", "with", "without", "empty", "with", "empty", "with"
    );
    let (offloads, segments) = (Pair::new(), Pair::without_offloads());
    compare("64 KiB, new data", &offloads, 32_768, NEW);
    compare("64 KiB, cached data", &offloads, 32_768, CACHED);
    compare("1,448 bytes, new data", &segments, 8192, NEW);
}

/// Sends so many pieces in each round, from a buffer of so many.
fn compare(name: &str, pair: &Pair, pieces: usize, data: usize) {
    transfer(pair, pieces, data, None);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let without = transfer(pair, pieces, data, None);
        let programs = EmptyPrograms::attach(&pair.host, "eth0");
        let empty = transfer(pair, pieces, data, None);
        drop(programs);
        let daemon = Daemon::start(&pair.host, config::SQL_SERVER);
        let with = transfer(pair, pieces, data, Some(&daemon));
        let report = daemon.next_report();
        let seen = report.expectations.iter().any(|e| e.flow == "agent-50051" && e.verdict == "ok");
        assert!(seen, "the daemon did not see the transfer");
        rounds.push([without, empty, with]);
    }
    let of = |what: fn(&[Cost; 3]) -> f64| median(rounds.iter().map(what).collect());
    println!(
        "{name:<23}{:>8.1}{:>7.1}{:>7.1}{:>12.0}{:>9.0}{:>9.0}{:>11.3}{:>7.3}",
        of(|[without, ..]| without.speed),
        of(|[_, empty, _]| empty.speed),
        of(|[.., with]| with.speed),
        of(|[without, ..]| without.processor),
        of(|[_, empty, _]| empty.processor),
        of(|[.., with]| with.processor),
        of(|[without, empty, _]| empty.processor / without.processor),
        of(|[without, _, with]| with.processor / without.processor),
    );
}

/// Of one transfer.
struct Cost {
    /// Gbit/s.
    speed: f64,
    /// Nanoseconds for each KiB.
    processor: f64,
}

/// The peer sends to the service of the host.
fn transfer(pair: &Pair, pieces: usize, data: usize, daemon: Option<&Daemon<'_>>) -> Cost {
    let address = SocketAddr::new(HOST4, SERVICE);
    let listener = listen(&pair.host, address);
    let mut peer = attempt(&pair.peer, address, tests::DEADLINE).unwrap();
    let (mut host, _) = listener.accept().unwrap();
    let sent = vec![7; data * PIECE];
    let mut received = vec![0; PIECE];
    let processor = || of_this_thread() + daemon.map_or(Duration::ZERO, of_daemon);
    let (spent, started) = (processor(), Instant::now());
    for piece in sent.chunks(PIECE).cycle().take(pieces) {
        peer.write_all(piece).unwrap();
        host.read_exact(&mut received).unwrap();
    }
    let (spent, took) = (processor().checked_sub(spent).unwrap(), started.elapsed());
    let bytes = (pieces * PIECE) as f64;
    Cost {
        speed: bytes * 8.0 / took.as_secs_f64() / 1e9,
        processor: spent.as_secs_f64() * 1e9 / (bytes / 1024.0),
    }
}

/// Processor time of the thread.
fn of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Processor time of the daemon's threads.
fn of_daemon(daemon: &Daemon<'_>) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let nanoseconds = threads.map(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
