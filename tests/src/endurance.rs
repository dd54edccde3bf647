//! The daemon under mixed traffic for a long time: what it counts, and what it takes.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use jiff::SignedDuration;

use crate::{
    DEADLINE, Daemon, Flow, HOST4, Namespace, Open, PEER4, Pair, Report, Traffic, Wire,
    frame::{IPV4, SYN, TCP, UDP, ethernet, ipv4, tcp, udp},
    listen, segments, wall_clock, within,
};

const AGENT: Flow<'_> = Flow("agent-50051", "server", "cluster");
const CLUSTER: Flow<'_> = Flow("mssql-vdi-11113", "client", "cluster");
const SCAN: Flow<'_> = Flow("scan-32006", "server", "client");
/// Ethernet and IPv4.
const HEADERS: u64 = 14 + 20;
/// Machines that send datagrams and get answers.
const ASKERS: u16 = 16_000;
/// Machines whose attempts nobody answers.
const BLOCKED: u16 = 382;
/// These, and a connection each way: as many as the map holds by default.
const FLOWS: usize = 16_384;
/// Bytes of a datagram's payload.
const PAYLOAD: u64 = 200;
/// How much more resident memory may be taken than after the first minutes, in KiB.
const GROWTH: u64 = 4096;

/// Both systems, whose peers are a large network. Nothing is due.
const CONFIG: &str = r#"
[[system]]
product = "ibm-backup-recovery"
roles = ["ms-sql-server", "physical-server"]
peers.cluster = ["10.20.0.0/16"]
[[system.expect]]
flow = "agent-*"
within = "never"
[[system]]
product = "gigavault-storage"
roles = ["server"]
peers.client = ["10.20.0.0/16"]
"#;

/// How it is after a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Since the start.
    pub minute: u64,
    /// Flows in the map.
    pub flows: usize,
    /// Packets that were sent, all of which are counted.
    pub packets: u64,
    /// Connections that were opened and closed.
    pub connections: u64,
    /// Interfaces that came and went.
    pub interfaces: u64,
    /// Resident memory, in KiB.
    pub resident: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Processor time since the start, in ticks of 10 ms.
    pub ticks: u64,
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minute, flows, packets, connections, interfaces, resident, descriptors, ticks } =
            self;
        let percent = ticks / (minute * 60);
        write!(
            f,
            "minute {minute:>3}  flows {flows}  packets {packets} = {packets}  \
             connections {connections}  interfaces {interfaces}  rss {resident} KiB  \
             fds {descriptors}  cpu {percent} %"
        )
    }
}

/// All that is sent.
struct Sent<'n> {
    pair: &'n Pair,
    asked: Traffic,
    answered: Traffic,
    tried: Traffic,
    agent: (Wire, Wire),
    cluster: (Wire, Wire),
    services: [TcpListener; 2],
    connections: u64,
}

/// Runs for that many minutes and says how each was.
///
/// # Errors
///
/// What was wrong in which minute: a count, the memory, the descriptors, an error in the log.
pub fn endure(minutes: u64, said: impl Fn(&Minute)) -> Result<Minute, String> {
    let pair = Pair::new();
    let daemon = Daemon::start(&pair.host, CONFIG);
    let mut sent = Sent::start(&pair);
    let mut history: Vec<Minute> = Vec::new();
    let start = wall_clock();
    let mut interfaces = 0;
    for minute in 1..=minutes {
        let end = SignedDuration::from_secs(60 * i64::try_from(minute).map_err(|e| e.to_string())?);
        while wall_clock().duration_since(start) < end {
            sent.connect();
            interfaces += come_and_go(&pair.host);
            drop((daemon.metrics(), daemon.status()));
        }
        let failed = |why| format!("minute {minute}: {why}");
        let now = sent.check(&daemon, minute, interfaces).map_err(failed)?;
        history.push(now);
        said(&now);
        sound(&daemon, &history, minutes).map_err(failed)?;
        daemon.reload(CONFIG);
    }
    drop(sent);
    let (status, log) = daemon.stop();
    if !status.success() || log.contains("ERROR") {
        return Err(format!("it ended with {status}, and said\n{log}"));
    }
    history.pop().ok_or_else(|| "no minutes".to_owned())
}

/// Whether the last minute took no more than those at the beginning.
fn sound(daemon: &Daemon<'_>, history: &[Minute], minutes: u64) -> Result<(), String> {
    let settled = usize::try_from((minutes / 10).clamp(1, 6)).map_err(|e| e.to_string())?;
    let Some((_, before)) = history.split_last().filter(|(_, before)| before.len() >= settled)
    else {
        return Ok(());
    };
    let first = before.iter().take(settled);
    let resident = first.clone().map(|minute| minute.resident).max().unwrap_or(0);
    let descriptors = first.map(|minute| minute.descriptors).max().unwrap_or(0);
    // Some memory is taken, and some descriptors are open, for a moment: while a report is made, or the
    // state is written.
    within(DEADLINE, || match daemon.resident() {
        little if little <= resident + GROWTH => Ok(()),
        much => Err(format!("resident memory grew from {resident} to {much} KiB")),
    })?;
    within(DEADLINE, || match daemon.descriptors() {
        few if few <= descriptors => Ok(()),
        many => Err(format!("descriptors grew from {descriptors} to {many}")),
    })
}

/// A bridge and both ends of a pair come, change their names and go.
fn come_and_go(host: &Namespace) -> u64 {
    host.ip("link add soak0 type bridge mcast_snooping 0\n\
             link add soak1 type veth peer name soak2\n\
             link set soak1 name soak3\n\
             link set soak3 up\n\
             link del soak0\n\
             link del soak3");
    3
}

impl<'n> Sent<'n> {
    fn start(pair: &'n Pair) -> Self {
        let IpAddr::V4(host) = HOST4 else { panic!("{HOST4}") };
        let frame = |from, to, protocol, payload: &[u8]| {
            ethernet(&[], IPV4, &ipv4(from, to, protocol, 0, 0, payload))
        };
        let peers = |first: u8, number: u16| {
            (0..number).map(move |n| {
                let [high, low] = n.to_be_bytes();
                Ipv4Addr::new(10, 20, first + high, low)
            })
        };
        let payload = vec![0x5a; usize::try_from(PAYLOAD).unwrap()];
        let (question, answer) = (udp(40000, 32006, &payload), udp(32006, 40000, &payload));
        let syn = tcp(40000, 50051, SYN, &[]);
        let asked = peers(64, ASKERS).map(|peer| frame(peer, host, UDP, &question));
        let answered = peers(64, ASKERS).map(|peer| frame(host, peer, UDP, &answer));
        let tried = peers(192, BLOCKED).map(|peer| frame(peer, host, TCP, &syn));
        let services = [(&pair.host, HOST4, 50051), (&pair.peer, PEER4, 11113)];
        let at_peer = |frames, burst| Traffic::start(&pair.peer, "eth0", frames, burst);
        let asked = at_peer(asked.collect(), 20);
        // An answer makes no flow: the questions go before.
        within(5 * DEADLINE, || {
            let sent = *asked.pause();
            if sent > u64::from(ASKERS) + 1000 { Ok(()) } else { Err(sent) }
        })
        .unwrap();
        Self {
            pair,
            asked,
            answered: Traffic::start(&pair.host, "eth0", answered.collect(), 20),
            tried: at_peer(tried.collect(), 1),
            agent: Default::default(),
            cluster: Default::default(),
            services: services
                .map(|(at, address, port)| listen(at, SocketAddr::new(address, port))),
            connections: 0,
        }
    }

    /// A connection of the peer, and one of the host.
    fn connect(&mut self) {
        let [agent, cluster] = &self.services;
        let add = |total: &mut (Wire, Wire), received: Wire, transmitted: Wire| {
            *total = (total.0.and(received), total.1.and(transmitted));
        };
        let open = Open::new(&self.pair.peer, agent, SocketAddr::new(HOST4, 50051));
        open.send(100_000, 20_000);
        let sent = open.close();
        let (up, down) =
            (segments(sent.up, 100_000, HEADERS), segments(sent.down, 20_000, HEADERS));
        add(&mut self.agent, up, down);
        let open = Open::new(&self.pair.host, cluster, SocketAddr::new(PEER4, 11113));
        open.send(20_000, 60_000);
        let sent = open.close();
        let (up, down) = (segments(sent.up, 20_000, HEADERS), segments(sent.down, 60_000, HEADERS));
        add(&mut self.cluster, down, up);
        self.connections += 2;
    }

    /// Pauses, and waits until all is counted.
    fn check(&self, daemon: &Daemon<'_>, minute: u64, interfaces: u64) -> Result<Minute, String> {
        let (asked, answered, tried) =
            (self.asked.pause(), self.answered.pause(), self.tried.pause());
        let datagrams = |number| Wire::new(number, number * (HEADERS + 8 + PAYLOAD));
        let tried = Wire::new(*tried, *tried * (HEADERS + 20));
        let expected = [
            (SCAN, (datagrams(*asked), datagrams(*answered))),
            (AGENT, (self.agent.0.and(tried), self.agent.1)),
            (CLUSTER, self.cluster),
        ];
        let right = |report: &Report| {
            let wrong = expected.iter().find(|(flow, wire)| flow.counted(report) != *wire);
            match wrong {
                Some((flow, wire)) => {
                    Err(format!("{flow:?}: {:?} counted, not {wire:?}", flow.counted(report)))
                }
                None if !lost(report).is_empty() => Err(format!("lost: {:?}", lost(report))),
                None if report.flow_map.entries != FLOWS => {
                    Err(format!("{} flows, not {FLOWS}", report.flow_map.entries))
                }
                None => Ok(()),
            }
        };
        within(DEADLINE, || right(&daemon.report()))?;
        let report = daemon.next_report();
        right(&report)?;
        let packets = expected.iter().map(|(_, (one, other))| one.packets + other.packets).sum();
        Ok(Minute {
            minute,
            flows: report.flow_map.entries,
            packets,
            connections: self.connections,
            interfaces,
            resident: daemon.resident(),
            descriptors: daemon.descriptors(),
            ticks: daemon.ticks(),
        })
    }
}

/// What was lost of the traffic here. A dropped packet without a namespace can be anybody's on the machine.
fn lost(report: &Report) -> Vec<(&str, u64)> {
    let mut lost = report.lost();
    lost.retain(|(what, _)| *what != "no-namespace");
    lost
}
