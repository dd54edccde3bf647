//! Where snapshots come from.

mod kernel;

pub use kernel::{KernelSource, flow_id};
