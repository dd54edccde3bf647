//! backupflow.
pub mod kernel;
