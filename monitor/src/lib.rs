//! backupflow compares the documented ports of backup products with the traffic that the kernel
//! sees, and says which flow is missing, blocked or refused.
//!
//! A packet's way: [`kernel`] counts it, [`source`] makes it part of an [`observe::Snapshot`],
//! [`expect`] finds the expectation that it belongs to, [`discrepancy`] says what follows,
//! [`report`] puts it in words, and [`serve`] and [`cli`] show it.

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod discrepancy;
pub mod expect;
pub mod export;
pub mod kernel;
pub mod logging;
mod memory;
pub mod names;
pub mod observe;
pub mod probe;
pub mod replay;
pub mod report;
pub mod serve;
pub mod service;
pub mod source;
pub mod state;
pub mod suggest;
