//! Where snapshots come from.

mod kernel;
mod routes;

pub use kernel::{KernelSource, flow_id};
