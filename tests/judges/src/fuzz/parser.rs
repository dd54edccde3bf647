//! The headers of a packet before the parser and the reference.

use monitor_common::packet::Link;

use crate::parser::judge;

/// Takes a frame with and without an Ethernet header.
pub fn parser(bytes: &[u8]) {
    for link in [Link::Ethernet, Link::Ip] {
        if let Err(disagreement) = judge(bytes, link) {
            fail(&disagreement.to_string());
        }
    }
}

#[expect(clippy::panic, reason = "this is how a target says that it found something")]
fn fail(what: &str) {
    panic!("{what}");
}
