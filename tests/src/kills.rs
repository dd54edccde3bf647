//! A daemon that is killed again and again at random moments, while frames are sent.
//!
//! Links (TCX) go with the daemon, and how often its programs ran is what they have to have counted: the
//! kernel itself says it, also of programs whose daemon is gone. Filters of `clsact` stay and go on
//! counting until the next daemon replaces them: they have to have counted every frame.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    thread::sleep,
    time::Duration,
};

use crate::{
    Bpffs, DEADLINE, Daemon, Flow, HOST4, Pair, Program, Report, RunCounts, Traffic, config,
    elapsed,
    frame::{IPV4, SYN, TCP, ethernet, ipv4, tcp},
    tcx_programs, until,
};

const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");
const CLUSTER: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");

/// After so many kills everything is made anew, so that first starts are killed too.
const LIFE: u32 = 25;
/// Frames of each direction in a burst.
const BURST: u64 = 20;
const MAPS: &[&str] = &["ATTEMPTS", "CONNECTIONS", "DROPS", "EVENTS", "FLOWS", "LOST", "SOCKETS"];

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kills {
    /// How often the daemon was killed.
    pub killed: u32,
    /// How often before it watched.
    pub early: u32,
    /// Frames that were sent.
    pub sent: u64,
    /// Packets that had to be counted, and were.
    pub counted: u64,
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, early, sent, counted } = self;
        write!(
            f,
            "{killed} kills, {early} of them while it started; {sent} frames sent, {counted} of them \
             to be counted, {counted} counted"
        )
    }
}

/// Kills the daemon that many times, attached as `mode` says. Gives a failure as the round and what is
/// wrong, by a panic.
pub fn kills(mode: &str, rounds: u32, seed: u64, said: impl Fn(&Kills)) -> Kills {
    let _counted = RunCounts::enable();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut done = Kills::default();
    while done.killed < rounds {
        life(mode, LIFE.min(rounds - done.killed), &mut random, &mut done);
        said(&done);
    }
    done
}

/// Frames that ask for connections: from 100 peers to the host, and from the host to 50.
fn frames() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let IpAddr::V4(host) = HOST4 else { panic!("{HOST4}") };
    let frame = |from, to, port| {
        ethernet(&[], IPV4, &ipv4(from, to, TCP, 0, 0, &tcp(40000, port, SYN, &[])))
    };
    let peer = |last| Ipv4Addr::new(10, 20, 0, last);
    let inbound = (100..200).map(|last| frame(peer(last), host, 50051));
    let outbound = (50..100).map(|last| frame(host, peer(last), 11113));
    (inbound.collect(), outbound.collect())
}

/// Starts and kills until all that was pinned is thrown away.
fn life(mode: &str, rounds: u32, random: &mut fastrand::Rng, done: &mut Kills) {
    let pair = Pair::new();
    let bpffs = Bpffs::mount(&pair.host);
    let config = bpffs.config(1024);
    let arguments = ["--attach", mode];
    let stays = mode == "clsact";
    let (first, start) = if stays {
        elapsed(|| Daemon::start_with(&pair.host, &config, &arguments))
    } else {
        // The first start with pins is one of those that are killed.
        elapsed(|| Daemon::start_with(&pair.host, config::SQL_SERVER, &arguments))
    };
    first.kill();
    let (inbound, outbound) = frames();
    let inbound = Traffic::start(&pair.peer, "eth0", inbound, BURST);
    let outbound = Traffic::start(&pair.host, "eth0", outbound, BURST);
    let mut ran = (0, 0);
    let mut maps = BTreeMap::new();
    for _ in 0..rounds {
        done.killed += 1;
        let round = done.killed;
        let daemon = Daemon::launch(&pair.host, &config, &arguments);
        let moment = random.u64(0..=2 * u64::try_from(start.as_micros()).unwrap());
        sleep(Duration::from_micros(moment));
        daemon.freeze();
        let programs = Program::first(&pair.host, "eth0");
        done.early += u32::from(!daemon.log().contains("watching"));
        daemon.kill();
        until("the end of the links", DEADLINE, || match tcx_programs(&pair.host, "eth0") {
            (0, 0) => Ok(()),
            left => Err(left),
        });
        let what = format!("round {round}, killed after {moment} us: what the pinned map has");
        if stays {
            let sent = (inbound.pause(), outbound.pause());
            settled(&what, &bpffs, (*sent.0, *sent.1));
        } else {
            ran = and(ran, runs(&programs));
            settled(&what, &bpffs, ran);
        }
        drop(programs);
        no_orphan(round, &bpffs, stays);
        for (name, map) in bpffs.maps() {
            let id = *maps.entry(name.clone()).or_insert(map.id());
            assert_eq!(map.id(), id, "round {round}: {name} was made anew");
        }
    }

    let daemon = Daemon::start_with(&pair.host, &config, &arguments);
    let sent = (inbound.pause(), outbound.pause());
    let expected = || {
        if stays { (*sent.0, *sent.1) } else { and(ran, runs(&Program::first(&pair.host, "eth0"))) }
    };
    let report = daemon.settles("every packet of all rounds", |report| {
        let (counted, expected) = (reported(report), expected());
        if counted == expected { Ok(()) } else { Err(format!("{counted:?}, not {expected:?}")) }
    });
    assert_eq!(report.lost(), []);
    done.sent += *sent.0 + *sent.1;
    done.counted += reported(&report).0 + reported(&report).1;
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    no_orphan(done.killed, &bpffs, false);
    assert!(bpffs.maps().keys().eq(MAPS), "pins: {:?}", bpffs.pins());
    assert_eq!(bpffs.pins().len(), MAPS.len(), "pins");
}

/// Received and transmitted, as the report has it.
fn reported(report: &Report) -> (u64, u64) {
    (AGENT.counted(report).0.packets, CLUSTER.counted(report).1.packets)
}

/// How often programs ran on the way in and out.
fn runs((ingress, egress): &(Option<Program>, Option<Program>)) -> (u64, u64) {
    let of = |program: &Option<Program>| program.as_ref().map_or(0, Program::runs);
    (of(ingress), of(egress))
}

const fn and(some: (u64, u64), more: (u64, u64)) -> (u64, u64) {
    (some.0 + more.0, some.1 + more.1)
}

/// Nothing runs any more but the filters that stay.
fn no_orphan(round: u32, bpffs: &Bpffs, filters_stay: bool) {
    until(&format!("round {round}: the end of the programs"), DEADLINE, || {
        let mut left = bpffs.users();
        left.retain(|name| !(filters_stay && name.starts_with("wire_")));
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// Waits until the pinned map has exactly that.
fn settled(what: &str, bpffs: &Bpffs, expected: (u64, u64)) {
    until(what, DEADLINE, || {
        let counted = bpffs.packets();
        if counted == expected { Ok(()) } else { Err(format!("{counted:?}, not {expected:?}")) }
    });
}
