//! Where snapshots come from.

pub mod capture;
mod kernel;

pub use kernel::{KernelSource, flow_id};
