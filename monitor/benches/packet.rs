//! Nanoseconds per packet, by `BPF_PROG_TEST_RUN`.
//!
//! All programs run interleaved in one process, round by round, so that what else the machine does
//! hits them alike; the medians of the rounds are compared, net of the empty program of their kind.
//! A packet of a socket of this host passes both: TC and `cgroup_skb`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes the time and prints its table"
)]

use std::{error::Error, process::ExitCode, time::Instant};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{CgroupSkb, ProgramError, SchedClassifier, TestRun, TestRunOptions},
};
use monitor::{
    kernel::Object,
    observe::{PortSet, Transport},
};
use monitor_common::names;

static BASELINE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/baseline"));

const ROUNDS: usize = 31;
const REPEAT: u32 = 200_000;
const SERVICE: u16 = 50051;
const UDP_SERVICE: u16 = 6363;

/// A frame to measure: name, bytes, whether it is on a documented port.
struct Frame {
    name: &'static str,
    bytes: Vec<u8>,
    documented: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut ports = PortSet::default();
    ports.insert(Transport::Tcp, SERVICE);
    ports.insert(Transport::Udp, UDP_SERVICE);
    let mut hooks = Object::load(1024, false, None)?;
    hooks.set_ports(&ports)?;
    let socket: &mut CgroupSkb = hooks.program_of_kind(names::SOCKET_INGRESS)?;
    match socket.load() {
        // Where the kernel casts, it was loaded to find that out.
        Ok(()) | Err(ProgramError::AlreadyLoaded) => {}
        Err(error) => return Err(error.into()),
    }
    let mut baseline = EbpfLoader::new().btf(None).load(BASELINE)?;
    for name in ["empty", "lookup", "five_tuple"] {
        classifier(&mut baseline, name)?.load()?;
    }
    socket_program(&mut baseline)?.load()?;

    let frames = [
        Frame { name: "tcp v4", bytes: tcp(false, 40_000, SERVICE, 0x10), documented: true },
        Frame { name: "tcp v6", bytes: tcp(true, 40_000, SERVICE, 0x10), documented: true },
        Frame { name: "udp v4", bytes: udp(40_000, UDP_SERVICE), documented: true },
        Frame { name: "syn, new port", bytes: tcp(false, 40_001, SERVICE, 0x02), documented: true },
        Frame { name: "unrelated tcp", bytes: tcp(false, 40_000, 443, 0x10), documented: false },
    ];
    // A connection is placed by its opening.
    for v6 in [false, true] {
        let opening = tcp(v6, 40_000, SERVICE, 0x02);
        run(hooks.program(names::WIRE_INGRESS)?, &opening, 1)?;
        run(hooks.program_of_kind::<CgroupSkb>(names::SOCKET_INGRESS)?, &opening, 1)?;
    }

    println!("median of {ROUNDS} rounds of {REPEAT} runs, nanoseconds per packet\n");
    println!(
        "{:<16}{:>8}{:>8}{:>8}{:>12}{:>10}{:>12}{:>8}",
        "frame", "empty", "", "lookup", "five-tuple", "TC", "cgroup_skb", "sum"
    );
    println!(
        "{:<16}{:>8}{:>8}{:>8}{:>12}{:>10}{:>12}{:>8}",
        "", "TC", "cgroup", "net", "net", "net", "net", "net"
    );
    let mut good = true;
    for frame in &frames {
        let before = counted(&mut hooks)?;
        let mut samples = [const { Vec::new() }; 6];
        for _ in 0..ROUNDS {
            let times = [
                run(classifier(&mut baseline, "empty")?, &frame.bytes, REPEAT)?,
                run(socket_program(&mut baseline)?, &frame.bytes, REPEAT)?,
                run(classifier(&mut baseline, "lookup")?, &frame.bytes, REPEAT)?,
                run(classifier(&mut baseline, "five_tuple")?, &frame.bytes, REPEAT)?,
                run(hooks.program(names::WIRE_INGRESS)?, &frame.bytes, REPEAT)?,
                run(
                    hooks.program_of_kind::<CgroupSkb>(names::SOCKET_INGRESS)?,
                    &frame.bytes,
                    REPEAT,
                )?,
            ];
            for (samples, time) in samples.iter_mut().zip(times) {
                samples.push(time);
            }
        }
        let after = counted(&mut hooks)?;
        let expected = if frame.documented { u64::from(REPEAT) * ROUNDS as u64 } else { 0 };
        let is_counted = before.iter().zip(after).all(|(before, after)| after - before == expected);
        let [empty, empty_socket, lookup, five_tuple, wire, socket] = samples.map(median);
        let (lookup, tuple) = (lookup - empty, five_tuple - empty);
        let (wire, socket) = (wire - empty, socket - empty_socket);
        let limit = if frame.documented { tuple } else { (0.2 * tuple).max(3.0) };
        let verdict = match (is_counted, wire <= limit) {
            (false, _) => "WRONG COUNT",
            (true, false) => "over the limit",
            (true, true) => "ok",
        };
        good &= verdict == "ok";
        println!(
            "{:<16}{empty:>8.1}{empty_socket:>8.1}{lookup:>8.1}{tuple:>12.1}{wire:>10.1}{socket:>12.1}{:>8.1}  {verdict}",
            frame.name,
            wire + socket
        );
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn classifier<'a>(
    object: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut SchedClassifier, Box<dyn Error>> {
    Ok(object.program_mut(name).ok_or("no such program")?.try_into()?)
}

/// The empty program of `cgroup_skb`.
fn socket_program(object: &mut Ebpf) -> Result<&mut CgroupSkb, Box<dyn Error>> {
    Ok(object.program_mut("empty_socket").ok_or("no such program")?.try_into()?)
}

/// Average nanoseconds of one run over `repeat` runs.
fn run<P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>>>(
    program: &P,
    frame: &[u8],
    repeat: u32,
) -> Result<f64, Box<dyn Error>> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = repeat;
    // The kernel's own figure is a whole number of nanoseconds: too coarse here.
    let started = Instant::now();
    program.test_run(options)?;
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(repeat))
}

/// Packets received on the wire and at sockets.
fn counted(hooks: &mut Object) -> Result<[u64; 2], Box<dyn Error>> {
    let mut packets = [0; 2];
    hooks.flows.read(|_, counts| packets[0] += counts.received.packets)?;
    hooks.sockets.read(|_, counts| packets[1] += counts.received.packets)?;
    Ok(packets)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn ethernet(ethertype: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn tcp(v6: bool, source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let mut frame = if v6 { ip6(6) } else { ip4(6) };
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 255, 255, 0, 0, 0, 0]);
    frame.extend([0; 40]);
    frame
}

fn udp(source: u16, destination: u16) -> Vec<u8> {
    let mut frame = ip4(17);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend([0, 48, 0, 0]);
    frame.extend([0; 40]);
    frame
}

fn ip4(protocol: u8) -> Vec<u8> {
    let mut frame = ethernet(0x0800);
    frame.extend([0x45, 0, 0, 80, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
    frame.extend([10, 20, 0, 5, 10, 20, 0, 9]);
    frame
}

fn ip6(protocol: u8) -> Vec<u8> {
    let mut frame = ethernet(0x86dd);
    frame.extend([0x60, 0, 0, 0, 0, 60, protocol, 64]);
    frame.extend([0xfd, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    frame.extend([0xfd, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    frame
}
