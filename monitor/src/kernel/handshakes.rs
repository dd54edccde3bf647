//! The open handshakes, and what became of those that ended.

use aya::{
    Ebpf,
    maps::{Array, MapData},
    programs::SchedClassifier,
};
use monitor_common::{
    AttemptCounts, AttemptEnd, ConnectionKey, FlowKey, Handshake, handshake::Ending, names,
};

use super::{
    Error, SharedMap,
    object::{map, program, run, take},
};

/// The maps of attempts.
pub struct Handshakes {
    /// Attempts of which it is not known yet what becomes of them.
    pub open: SharedMap<ConnectionKey, Handshake>,
    /// What became of the others, by flow.
    pub ended: SharedMap<FlowKey, AttemptCounts>,
    ending: Array<MapData, PlainEnding>,
}

/// What is asked of the program, as aya takes it.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct PlainEnding(Ending);

#[expect(unsafe_code, reason = "aya asks for a promise that the layout is plain bytes")]
mod pod {
    // SAFETY: `repr(C)` and nothing but `u64`.
    unsafe impl aya::Pod for super::PlainEnding {}
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes").finish_non_exhaustive()
    }
}

impl Handshakes {
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            open: SharedMap::new(names::HANDSHAKES, take(ebpf, names::HANDSHAKES)?)?,
            ended: SharedMap::new(names::ATTEMPTS, take(ebpf, names::ATTEMPTS)?)?,
            ending: map(ebpf, names::ENDING)?,
        })
    }

    /// Ends handshakes that no packet ends. Each is counted once, also where a packet comes at the same moment.
    pub(super) fn end(
        &mut self,
        ebpf: &mut Ebpf,
        ended: impl Iterator<Item = (ConnectionKey, AttemptEnd)>,
    ) -> Result<(), Error> {
        let program: &SchedClassifier = program(ebpf, names::END_HANDSHAKE)?;
        for (key, end) in ended {
            self.ending
                .set(0, PlainEnding(Ending { key, end: end as u64 }), 0)
                .map_err(|source| Error::Map { name: names::ENDING, source })?;
            run(program, names::END_HANDSHAKE)?;
        }
        Ok(())
    }
}
