//! The loaded programs, run on frames by `BPF_PROG_TEST_RUN`.

use std::{collections::HashMap, error::Error, fs};

use aya::programs::{TestRun as _, TestRunOptions};
use monitor::{
    kernel::Object,
    observe::{PortSet, Transport},
};
use monitor_common::{AttemptCounts, AttemptEnd, ConnectionKey, Handshake};
use nix::sched::{CloneFlags, unshare};

use crate::{
    frames::{Sent, TCP_PORTS, UDP_PORTS},
    model::{Hook, Model, came_in},
};

/// Few enough that the maps run full.
const CAPACITY: u32 = 128;

/// The programs, and what they should have counted.
#[derive(Debug)]
pub struct Kernel {
    object: Object,
    model: Model,
}

/// Moves the calling thread to a network namespace of its own, in which nothing is forwarded.
pub fn enter_namespace() -> Result<(), Box<dyn Error>> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    for version in ["ipv4", "ipv6"] {
        fs::write(format!("/proc/sys/net/{version}/conf/all/forwarding"), "0")?;
    }
    Ok(())
}

impl Kernel {
    /// Freshly loaded.
    pub fn load() -> Result<Self, Box<dyn Error>> {
        let mut ports = PortSet::default();
        for port in TCP_PORTS {
            ports.insert(Transport::Tcp, port);
        }
        for port in UDP_PORTS {
            ports.insert(Transport::Udp, port);
        }
        let mut object = Object::load(CAPACITY, false, None)?;
        object.set_ports(&ports)?;
        Ok(Self { object, model: Model::new(usize::try_from(CAPACITY)?, ports) })
    }

    /// Runs the program that takes a frame; what it has to count is noted. `false` for a frame that
    /// the kernel does not take.
    pub fn run(&mut self, sent: &Sent) -> Result<bool, Box<dyn Error>> {
        if !is_taken(&sent.bytes) {
            return Ok(false);
        }
        let context = context(sent);
        let mut options = TestRunOptions::new();
        options.data_in = Some(&sent.bytes);
        options.ctx_in = Some(&context);
        let ran = self.object.program(Hook::of(sent).name)?.test_run(options)?;
        assert_eq!(ran.return_value, u32::MAX, "the packet does not go on");
        self.model.count(sent);
        Ok(true)
    }

    /// Reads the maps, and says where they differ from what should be in them.
    pub fn difference(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        let mut flows = HashMap::new();
        let mut never_seen = None;
        self.object.flows.read(|key, mut counts| {
            let times = [
                (counts.received.packets, &mut counts.last_received),
                (counts.transmitted.packets, &mut counts.last_transmitted),
            ];
            for (packets, last) in times {
                if packets > 0 && *last == 0 {
                    never_seen = Some(format!("{key:?} was never seen"));
                }
                *last = 0;
            }
            flows.insert(key, counts);
        })?;
        let mut events = HashMap::new();
        self.object.events.read(|key, counts| {
            events.insert(key, counts.times);
        })?;
        let mut handshakes = HashMap::new();
        self.object.handshakes.open.read(|key, handshake| {
            _ = handshakes.insert(key, without_times(handshake));
        })?;
        let mut attempts = HashMap::new();
        self.object.handshakes.ended.read(|key, counts| {
            let (last, began, stray) = ([0; AttemptEnd::COUNT], [0; AttemptEnd::COUNT], 0);
            _ = attempts.insert(key, AttemptCounts { last, began, stray, ..counts });
        })?;
        let lost: Vec<u64> = self.object.lost()?.into_iter().map(|(_, packets)| packets).collect();
        let Model { flows: expected_flows, events: expected_events, lost: expected_lost, .. } =
            &self.model;
        Ok(never_seen
            .or_else(|| first_difference(&flows, expected_flows))
            .or_else(|| first_difference(&events, expected_events))
            .or_else(|| first_difference(&attempts, &self.model.attempts))
            .or_else(|| first_difference(&handshakes, &self.expected_handshakes()))
            .or_else(|| {
                (lost != expected_lost).then(|| format!("lost {lost:?}, not {expected_lost:?}"))
            }))
    }

    fn expected_handshakes(&self) -> HashMap<ConnectionKey, Handshake> {
        let open = self.model.handshakes.iter();
        open.map(|(key, handshake)| (*key, without_times(*handshake))).collect()
    }

    /// What was counted: packets in flows, flows, events, packets lost.
    pub fn counted(&self) -> [u64; 4] {
        let Model { flows, events, lost, .. } = &self.model;
        let packets = flows.values().map(|f| f.received.packets + f.transmitted.packets).sum();
        [packets, flows.len() as u64, events.values().sum(), lost.iter().sum()]
    }
}

/// Of a time, only whether it was.
fn without_times(handshake: Handshake) -> Handshake {
    let Handshake { began, last, answered, acknowledged, .. } = handshake;
    let [began, last, answered, acknowledged] =
        [began, last, answered, acknowledged].map(|time| time.min(1));
    Handshake { began, last, answered, acknowledged, ..handshake }
}

fn first_difference<K, V>(found: &HashMap<K, V>, expected: &HashMap<K, V>) -> Option<String>
where
    K: std::hash::Hash + Eq + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    if found == expected {
        return None;
    }
    let mut keys: Vec<&K> = found.keys().chain(expected.keys()).collect();
    keys.sort_by_key(|key| format!("{key:?}"));
    keys.into_iter()
        .find(|key| found.get(key) != expected.get(key))
        .map(|key| format!("{key:?}: {:?}, not {:?}", found.get(key), expected.get(key)))
}

/// Whether the kernel runs a program on it: it wants a byte behind the Ethernet header, and since 6.18 all
/// of an IP header that this one names. Behind a tag it does not look.
fn is_taken(bytes: &[u8]) -> bool {
    const ETHERNET: usize = 14;
    let header = match bytes.get(12..ETHERNET) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    bytes.len() >= ETHERNET + header
}

/// A `struct __sk_buff` with the few fields that may be given.
fn context(sent: &Sent) -> [u8; 192] {
    const INGRESS_INTERFACE: usize = 36;
    const SEGMENTS: usize = 164;
    const SEGMENT_SIZE: usize = 176;

    let mut context = [0; 192];
    let fields = [
        (INGRESS_INTERFACE, u32::from(came_in(sent))),
        (SEGMENTS, sent.segments),
        (SEGMENT_SIZE, sent.segment_size),
    ];
    for (at, value) in fields {
        #[expect(clippy::host_endian_bytes, reason = "the kernel's struct on this machine")]
        context[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    context
}
