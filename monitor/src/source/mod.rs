//! Where snapshots come from.

pub mod capture;
mod kernel;
mod routes;
mod sessions;

pub use kernel::{KernelSource, flow_id};
