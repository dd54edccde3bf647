//! Where snapshots come from.

pub mod capture;
mod explained;
mod kernel;
mod listeners;
mod routes;
mod sessions;
mod tallies;

pub use kernel::KernelSource;
pub use tallies::flow_id;
