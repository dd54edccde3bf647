//! Loads the programs and opens their maps.

use std::sync::Arc;

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, Map, MapData, PerCpuArray},
    programs::SchedClassifier,
};
use monitor_common::{Loss, names, ports::PortBits};

use crate::observe::PortSet;

use super::{
    Error,
    clock::{Ages, Clock},
    flows::FlowMap,
};

/// The programs, as the build embeds them.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/hooks"));

/// Every program of the object.
const PROGRAMS: [&str; 6] = [
    names::WIRE_INGRESS,
    names::WIRE_EGRESS,
    names::WIRE_INGRESS_L3,
    names::WIRE_EGRESS_L3,
    names::WIRE_LOOPBACK,
    names::READ_CLOCK,
];

/// The loaded object: programs that nothing runs yet, and their maps.
pub struct Object {
    ebpf: Ebpf,
    /// All flows.
    pub flows: FlowMap,
    lost: PerCpuArray<MapData, u64>,
    ports: Array<MapData, PortBits>,
    clock: Clock,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("flows", &self.flows).finish_non_exhaustive()
    }
}

impl Object {
    /// Loads every program, with room for `flows` flows. With `log`, the programs report rare
    /// events to the log.
    pub fn load(flows: u32, log: bool) -> Result<Self, Error> {
        let log_level = if log { u8::MAX } else { 0 };
        let mut ebpf = EbpfLoader::new()
            .btf(None)
            .map_max_entries(names::FLOWS, flows)
            .override_global(names::LOG_LEVEL, &log_level, true)
            .load(OBJECT)
            .map_err(|source| Error::Object(Box::new(source)))?;
        for name in PROGRAMS {
            program(&mut ebpf, name)?
                .load()
                .map_err(|source| Error::Program { name, source: Arc::new(source) })?;
        }
        let flow_map = FlowMap::new(take(&mut ebpf, names::FLOWS)?, flows)?;
        let lost = take(&mut ebpf, names::LOST)?
            .try_into()
            .map_err(|source| Error::Map { name: names::LOST, source })?;
        let ports = take(&mut ebpf, names::DOCUMENTED_PORTS)?
            .try_into()
            .map_err(|source| Error::Map { name: names::DOCUMENTED_PORTS, source })?;
        let clock_map = take(&mut ebpf, names::CLOCK)?
            .try_into()
            .map_err(|source| Error::Map { name: names::CLOCK, source })?;
        let clock = Clock::start(clock_map, program(&mut ebpf, names::READ_CLOCK)?)?;
        Ok(Self { ebpf, flows: flow_map, lost, ports, clock })
    }

    /// A loaded program.
    pub fn program(&mut self, name: &'static str) -> Result<&mut SchedClassifier, Error> {
        program(&mut self.ebpf, name)
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

fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, Error> {
    let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
    program.try_into().map_err(|source| Error::Program { name, source: Arc::new(source) })
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, Error> {
    ebpf.take_map(name).ok_or(Error::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_every_program_and_every_name_is_there() {
        let mut object = Object::load(16, false).unwrap();
        for name in PROGRAMS {
            object.program(name).unwrap();
        }
        assert_eq!(object.flows.read().unwrap(), []);
        assert_eq!(object.lost().unwrap(), Loss::ALL.map(|loss| (loss, 0)));
    }
}
