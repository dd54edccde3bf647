//! Loads the programs and opens their maps.

use std::{net::IpAddr, ops::Range, sync::Arc};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
    programs::{CgroupSkb, Program, ProgramError, SchedClassifier, TestRun as _, TestRunOptions},
};
use monitor_common::{
    AttemptEnd, ConnectionCounts, ConnectionKey, DropCounts, DropKey, EventCounts, EventKey,
    FlowCounts, FlowKey, Loss, Offsets, OwnAddresses, names, ports::PortBits,
};

use crate::observe::PortSet;

use super::{
    Error, Handshakes, cast,
    clock::{Ages, Clock},
    counts::CountMap,
    in_full,
    offsets::{Knowledge, Reasons},
    pins::Pins,
};

/// The programs, as the build embeds them.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/hooks"));

/// The programs of TC, without which nothing is counted.
const TC_PROGRAMS: &[&str] = &[
    names::WIRE_INGRESS,
    names::WIRE_EGRESS,
    names::WIRE_INGRESS_L3,
    names::WIRE_EGRESS_L3,
    names::WIRE_LOOPBACK,
    names::READ_CLOCK,
    names::END_HANDSHAKE,
];

/// What the programs read their offsets from, as aya takes it.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Plain(Offsets);

/// The host's addresses, as aya takes them.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct PlainOwn(OwnAddresses);

#[expect(unsafe_code, reason = "aya asks for a promise that the layouts are plain bytes")]
mod pod {
    // SAFETY: `repr(C)` and nothing but `u32`.
    unsafe impl aya::Pod for super::Plain {}
    // SAFETY: `repr(C)` and nothing but `u64`.
    unsafe impl aya::Pod for super::PlainOwn {}
}

/// The loaded object: programs that nothing runs yet, and their maps.
pub struct Object {
    ebpf: Ebpf,
    /// All flows, as they cross devices.
    pub flows: CountMap<FlowKey, FlowCounts>,
    /// The same, as sockets see them.
    pub sockets: CountMap<FlowKey, FlowCounts>,
    /// Dropped packets.
    pub drops: CountMap<DropKey, DropCounts>,
    /// What became of connections.
    pub connections: CountMap<FlowKey, ConnectionCounts>,
    /// ICMP errors, and attempts to connect.
    pub events: CountMap<EventKey, EventCounts>,
    /// Attempts to connect.
    pub handshakes: Handshakes,
    /// How this kernel calls its reasons to drop packets.
    pub reasons: Reasons,
    offsets: Result<(), String>,
    lost: PerCpuArray<MapData, u64>,
    ports: Array<MapData, PortBits>,
    probe_port: Array<MapData, u64>,
    /// What is in it.
    own_ports: u64,
    own: Array<MapData, PlainOwn>,
    own_table: Box<PlainOwn>,
    listed: HashMap<MapData, [u64; 2], u8>,
    room: Array<MapData, i64>,
    clock: Clock,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("flows", &self.flows).finish_non_exhaustive()
    }
}

impl Object {
    /// Loads the programs of TC, with room for `flows` flows. With `log`, the programs report rare
    /// events to the log. The others are loaded when they are attached.
    /// Maps that are pinned go on where they were left.
    pub fn load(flows: u32, log: bool, pins: Option<&Pins>) -> Result<Self, Error> {
        let known = Knowledge::of_this_kernel().map_err(|error| error.to_string());
        Self::load_knowing(known, flows, log, pins)
    }

    fn load_knowing(
        known: Result<Knowledge, String>,
        flows: u32,
        log: bool,
        pins: Option<&Pins>,
    ) -> Result<Self, Error> {
        let (mut offsets, reasons, known) = match known {
            Ok(Knowledge { offsets, reasons }) => (offsets, reasons, Ok(())),
            Err(error) => (Offsets::default(), Reasons::default(), Err(error)),
        };
        let mut ebpf = open(offsets, flows, log, pins)?;
        if offsets.cast_function != 0
            && let Err(error) = takes_cast(&mut ebpf)
        {
            tracing::info!(
                error,
                "this kernel refuses the faster programs at sockets: slower ones count the same"
            );
            offsets.cast_function = 0;
            ebpf = open(offsets, flows, log, pins)?;
        }
        for &name in TC_PROGRAMS {
            program(&mut ebpf, name)?
                .load()
                .map_err(|source| Error::Program { name, source: Arc::new(source) })?;
        }
        let flow_map = CountMap::new(names::FLOWS, take(&mut ebpf, names::FLOWS)?, flows)?;
        let sockets = CountMap::new(names::SOCKETS, take(&mut ebpf, names::SOCKETS)?, flows)?;
        let drops = CountMap::new(names::DROPS, take(&mut ebpf, names::DROPS)?, flows)?;
        let connections =
            CountMap::new(names::CONNECTIONS, take(&mut ebpf, names::CONNECTIONS)?, flows)?;
        let events = CountMap::new(names::EVENTS, take(&mut ebpf, names::EVENTS)?, flows)?;
        let handshakes = Handshakes::of(&mut ebpf)?;
        let clock_map = map(&mut ebpf, names::CLOCK)?;
        let clock = Clock::start(clock_map, program(&mut ebpf, names::READ_CLOCK)?)?;
        Ok(Self {
            flows: flow_map,
            sockets,
            drops,
            connections,
            events,
            handshakes,
            reasons,
            offsets: known,
            lost: map(&mut ebpf, names::LOST)?,
            ports: map(&mut ebpf, names::DOCUMENTED_PORTS)?,
            probe_port: map(&mut ebpf, names::PROBE_PORT)?,
            own_ports: 0,
            own: map(&mut ebpf, names::OWN_ADDRESSES)?,
            own_table: Box::new(PlainOwn(OwnAddresses::UNUSED)),
            listed: map(&mut ebpf, names::LISTED)?,
            room: map(&mut ebpf, names::ROOM)?,
            clock,
            ebpf,
        })
    }

    /// A loaded program.
    pub fn program(&mut self, name: &'static str) -> Result<&mut SchedClassifier, Error> {
        program(&mut self.ebpf, name)
    }

    /// A program of a certain kind, loaded or not.
    pub fn program_of_kind<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, Error>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let program = self.ebpf.program_mut(name).ok_or(Error::Missing(name))?;
        program.try_into().map_err(|source| Error::Program { name, source: Arc::new(source) })
    }

    /// Whether the kernel's structs can be read, and why not.
    pub(super) fn offsets(&self) -> Result<(), &str> {
        self.offsets.as_ref().copied().map_err(String::as_str)
    }

    /// The object itself, for the kernel's log.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Replaces the set of ports that are counted, while the programs run.
    pub fn set_ports(&mut self, ports: &PortSet) -> Result<(), Error> {
        self.ports
            .set(0, ports.bits(), 0)
            .map_err(|source| Error::Map { name: names::DOCUMENTED_PORTS, source })
    }

    /// Leaves out of all counts, from now on, what goes by this local TCP port; 0 leaves nothing out.
    pub fn leave_out(&mut self, port: u16) -> Result<(), Error> {
        self.own_ports = self.own_ports & !0xffff | u64::from(port);
        self.set_own_ports()
    }

    /// Leaves out of all counts, from now on, datagrams by these local ports.
    pub fn leave_out_datagrams(&mut self, ports: &Range<u16>) -> Result<(), Error> {
        let (first, count) = (u64::from(ports.start), ports.len() as u64);
        self.own_ports = self.own_ports & 0xffff | first << 16 | count << 32;
        self.set_own_ports()
    }

    fn set_own_ports(&mut self) -> Result<(), Error> {
        self.probe_port
            .set(0, self.own_ports, 0)
            .map_err(|source| Error::Map { name: names::PROBE_PORT, source })
    }

    /// Tells the programs which addresses are this host's, while they run.
    pub fn set_own(&mut self, addresses: &[IpAddr]) -> Result<(), Error> {
        let octets = addresses.iter().map(|address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        });
        let PlainOwn(table) = &mut *self.own_table;
        table.fill(octets, table.epoch + 1);
        if table.mixer == 0 {
            let count = addresses.len();
            tracing::warn!(
                count,
                "this host has too many addresses to tell its own traffic from what it passes on"
            );
        }
        self.own
            .set(0, *self.own_table, 0)
            .map_err(|source| Error::Map { name: names::OWN_ADDRESSES, source })
    }

    /// Ends handshakes that no packet ends.
    pub fn end_handshakes(
        &mut self,
        ended: impl Iterator<Item = (ConnectionKey, AttemptEnd)>,
    ) -> Result<(), Error> {
        self.handshakes.end(&mut self.ebpf, ended)
    }

    /// Lists a peer, or no longer: a part of the map of flows can be kept for those that are.
    pub fn list(&mut self, peer: [u64; 2], is_listed: bool) -> Result<(), Error> {
        let done =
            if is_listed { self.listed.insert(peer, 0, 0) } else { self.listed.remove(&peer) };
        done.map_err(|source| Error::Map { name: names::LISTED, source })
    }

    /// How many flows of peers that are not listed may still be made.
    pub fn room(&self) -> Result<i64, Error> {
        self.room.get(&0, 0).map_err(|source| Error::Map { name: names::ROOM, source })
    }

    /// What tells the counts of these maps from all others, also those of an earlier boot.
    pub fn counting(&self) -> Option<Arc<str>> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(format!("{}/{}", boot.trim(), self.flows.id()?).into())
    }

    /// How many flows of peers that are not listed may be made from now on.
    pub fn make_room(&mut self, flows: i64) -> Result<(), Error> {
        let set = self.room.set(0, flows, 0);
        set.map_err(|source| Error::Map { name: names::ROOM, source })
    }

    /// How long ago a packet of a time in jiffies was: call it once for a read of the flow map.
    pub fn ages(&mut self) -> Result<Ages, Error> {
        self.clock.ages(program(&mut self.ebpf, names::READ_CLOCK)?)
    }

    /// Packets seen and not counted since the object was loaded, by kind.
    pub fn lost(&self) -> Result<Vec<(Loss, u64)>, Error> {
        Loss::ALL
            .into_iter()
            .map(|loss| {
                let values = self
                    .lost
                    .get(&(loss as u32), 0)
                    .map_err(|source| Error::Map { name: names::LOST, source })?;
                Ok((loss, values.iter().sum()))
            })
            .collect()
    }
}

/// The object, none of whose programs is loaded.
fn open(offsets: Offsets, flows: u32, log: bool, pins: Option<&Pins>) -> Result<Ebpf, Error> {
    let log_level = if log { u8::MAX } else { 0 };
    let mut loader = EbpfLoader::new();
    for (map, path) in pins.into_iter().flat_map(Pins::maps) {
        loader.map_pin_path(map, path);
    }
    loader
        .btf(None)
        .map_max_entries(names::FLOWS, flows)
        .map_max_entries(names::SOCKETS, flows)
        .map_max_entries(names::DROPS, flows)
        .map_max_entries(names::CONNECTIONS, flows)
        .map_max_entries(names::EVENTS, flows)
        .map_max_entries(names::ATTEMPTS, flows)
        .map_max_entries(names::HANDSHAKES, flows.saturating_mul(2))
        .override_global(names::LOG_LEVEL, &log_level, true)
        .override_global(names::OFFSETS, &Plain(offsets), true)
        .load(&cast::with_calls(OBJECT, offsets.cast_function))
        .map_err(|source| Error::Object(Box::new(source)))
}

/// Whether the kernel takes a program that calls its function to cast, and why not: one that has the function can
/// run without a compiler for programs, or have a verifier that does not follow it.
fn takes_cast(ebpf: &mut Ebpf) -> Result<(), String> {
    let program = ebpf.program_mut(names::SOCKET_INGRESS).ok_or("no such program")?;
    let program: &mut CgroupSkb = program.try_into().map_err(|error| in_full(&error))?;
    program.load().map_err(|error| in_full(&error))
}

pub(super) fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, Error> {
    let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
    program.try_into().map_err(|source| Error::Program { name, source: Arc::new(source) })
}

pub(super) fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, Error> {
    ebpf.take_map(name).ok_or(Error::Missing(name))
}

/// A map of the object, as the type that it has.
pub(super) fn map<T: TryFrom<Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<T, Error> {
    take(ebpf, name)?.try_into().map_err(|source| Error::Map { name, source })
}

/// Runs a program that is attached nowhere.
pub(super) fn run(program: &SchedClassifier, name: &'static str) -> Result<(), Error> {
    /// The kernel takes no shorter packet.
    const PACKET: [u8; 64] = [0; 64];

    let mut options = TestRunOptions::new();
    options.data_in = Some(&PACKET);
    let result = program.test_run(options);
    result.map(drop).map_err(|source| Error::Program { name, source: Arc::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_takes_the_cast() {
        let known = Knowledge::of_this_kernel().unwrap();
        let mut ebpf = open(known.offsets, 16, false, None).unwrap();
        assert_eq!(takes_cast(&mut ebpf), Ok(()));
    }

    #[test]
    fn a_kernel_that_refuses_the_cast_gets_the_programs_without() {
        let mut known = Knowledge::of_this_kernel().unwrap();
        assert_ne!(known.offsets.cast_function, 0);
        // The kernel's first type is no function.
        known.offsets.cast_function = 1;
        let mut object = Object::load_knowing(Ok(known), 16, false, None).unwrap();
        object.program_of_kind::<CgroupSkb>(names::SOCKET_INGRESS).unwrap().load().unwrap();
    }

    #[test]
    fn the_kernel_takes_every_program_and_every_name_is_there() {
        let mut object = Object::load(16, false, None).unwrap();
        for &name in TC_PROGRAMS {
            object.program(name).unwrap();
        }
        let mut entries = 0;
        object.flows.read(|_, _| entries += 1).unwrap();
        assert_eq!(entries, 0);
        assert_eq!(object.lost().unwrap(), Loss::ALL.map(|loss| (loss, 0)));
    }
}
