//! Empty on purpose: a library target lets the daemon's build depend on this crate, so that its
//! object is rebuilt when a program changes.

#![no_std]
