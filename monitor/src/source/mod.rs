//! Where snapshots come from.

mod kernel;
mod sessions;

pub use kernel::{KernelSource, flow_id};
