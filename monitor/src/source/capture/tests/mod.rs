//! Captures, byte by byte.

mod conversations;
mod copies;
mod formats;
mod icmp;

use std::{collections::BTreeSet, net::IpAddr};

use jiff::{SignedDuration, Timestamp};
use monitor_common::packet::{ACK, Link, SYN};

use super::{Frame, Place};
use crate::{
    config,
    expect::{Expectation, expectations},
};

const HOST: [u8; 4] = [10, 20, 0, 1];
const PEER: [u8; 4] = [10, 20, 0, 2];
const SYN_ACK: u8 = SYN | ACK;

/// A server of databases whose agent, on port 50051, and whose peers' services are expected.
fn sql_server() -> Vec<Expectation> {
    let text = "[[system]]\nproduct = \"ibm-backup-recovery\"\nroles = [\"ms-sql-server\"]\n\
                peers.cluster = [\"10.20.0.0/24\"]\n[[system.expect]]\nflow = \"agent-*\"\nwithin = \"never\"\n";
    expectations(&config::parse("test.toml", text).unwrap())
}

fn host() -> BTreeSet<IpAddr> {
    BTreeSet::from([HOST.into()])
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_millis(milliseconds)
}

/// A packet of IPv4 with the number of a packet, TCP.
fn tcp(
    [source, destination]: [([u8; 4], u16); 2],
    flags: u8,
    number: u16,
    first: u32,
    data: usize,
) -> Vec<u8> {
    let mut packet = ip([source.0, destination.0], 6, number, 20 + data);
    packet.extend([source.1.to_be_bytes(), destination.1.to_be_bytes()].concat());
    packet.extend(first.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    packet.resize(packet.len() + data, 0x55);
    packet
}

/// A datagram of eight bytes of headers and none of data.
fn udp([source, destination]: [([u8; 4], u16); 2]) -> Vec<u8> {
    let mut packet = ip([source.0, destination.0], 17, 7, 8);
    packet.extend([source.1.to_be_bytes(), destination.1.to_be_bytes()].concat());
    packet.extend([0, 8, 0, 0]);
    packet
}

/// A header of IPv4.
fn ip(ends: [[u8; 4]; 2], protocol: u8, number: u16, behind: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(u16::try_from(20 + behind).unwrap().to_be_bytes());
    packet.extend(number.to_be_bytes());
    packet.extend([0x40, 0, 64, protocol, 0, 0]);
    packet.extend(ends.concat());
    packet
}

/// A frame of a packet at a place.
fn frame(bytes: &[u8], milliseconds: i64, place: Place) -> Frame<'_> {
    let length = bytes.len() as u64 + 14;
    Frame { at: at(milliseconds), link: Link::Ip, bytes, length, place, is_loopback: false }
}
