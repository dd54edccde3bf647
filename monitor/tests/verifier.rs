//! How many instructions the kernel's verifier looks at for each program: the limit is a million, and what is near it
//! on one kernel is refused by another.
//!
//! Alone in its process, which opens no file while a program is loaded.

#![expect(
    clippy::panic,
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "all of this is a test, whose output `cargo xtask vmtest` reads"
)]

use std::collections::BTreeMap;

use aya::programs::{Program, ProgramError};
use monitor::kernel::Object;
use monitor_common::names;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const LIMIT: u32 = 1_000_000;

const PROGRAMS: &[&str] = &[
    names::BEGUN,
    names::CONNECT4,
    names::CONNECT6,
    names::CONNECTION,
    names::DROP,
    names::END_HANDSHAKE,
    names::READ_CLOCK,
    names::RETRANSMIT,
    names::SOCKET_EGRESS,
    names::SOCKET_INGRESS,
    names::WIRE_EGRESS,
    names::WIRE_EGRESS_L3,
    names::WIRE_INGRESS,
    names::WIRE_INGRESS_L3,
    names::WIRE_LOOPBACK,
];

#[test]
fn every_program_is_far_from_the_limit() {
    let mut object = Object::load(16, false, None).unwrap();
    let counts: BTreeMap<String, u32> = object
        .ebpf()
        .programs_mut()
        .map(|(name, program)| (name.to_owned(), verified(program)))
        .collect();
    let names: Vec<&str> = counts.keys().map(String::as_str).collect();
    assert_eq!(names, PROGRAMS);
    for (name, count) in counts {
        println!("verified {name}: {count} instructions");
        assert!((1..LIMIT / 5).contains(&count), "{name}: {count}");
    }
}

/// As the verifier's log says. A program that is loaded well leaves none behind, and kernels before 5.16 do not tell
/// it of one: so the kernel takes the program here, and finds no room for its descriptor.
fn verified(program: &mut Program) -> u32 {
    let loaded = match program {
        // Some are loaded with the object, the others when they are attached.
        Program::SchedClassifier(program) => {
            drop(program.unload());
            without_descriptors(|| program.load())
        }
        Program::CgroupSkb(program) => {
            drop(program.unload());
            without_descriptors(|| program.load())
        }
        Program::CgroupSockAddr(program) => without_descriptors(|| program.load()),
        Program::RawTracePoint(program) => without_descriptors(|| program.load()),
        other => panic!("{other:?}"),
    };
    let Err(ProgramError::LoadError { io_error, verifier_log }) = loaded else {
        panic!("{loaded:?}");
    };
    assert_eq!(io_error.raw_os_error(), Some(libc::EMFILE), "{io_error} {verifier_log}");
    let log = verifier_log.to_string();
    let (_, count) = log.rsplit_once("processed ").unwrap();
    count.split(' ').next().unwrap().parse().unwrap()
}

fn without_descriptors<T>(load: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).unwrap();
    let loaded = load();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    loaded
}
