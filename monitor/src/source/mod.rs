//! Where snapshots come from.

pub mod capture;
mod kernel;
mod routes;

pub use kernel::{KernelSource, flow_id};
