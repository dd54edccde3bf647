//! Many frames before all judges.

use std::{error::Error, fmt};

use monitor_common::packet::Link;

use crate::{
    frames::{Frames, Sent},
    kernel::Kernel,
    model::Hook,
    parser::{self, hex},
};

/// Frames after which the maps are read.
const BATCH: u64 = 1_000;
/// Batches after which the programs are loaded afresh.
const BATCHES: u64 = 40;

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Frames before the parser and the reference, each with both link layers.
    pub frames: u64,
    /// Frames before the kernel.
    pub in_kernel: u64,
    /// Packets that it counted in flows.
    pub counted: u64,
    /// Flows, over all loads of the programs.
    pub flows: u64,
    /// ICMP errors that it counted.
    pub events: u64,
    /// Packets that it counted as lost.
    pub lost: u64,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, in_kernel, counted, flows, events, lost } = self;
        write!(
            f,
            "{frames} frames before parser and reference; {in_kernel} before the kernel: {counted} packets in \
             {flows} flows, {events} ICMP errors, {lost} lost"
        )
    }
}

/// The frames of a seed before the parser and the reference.
pub fn on_host(seed: u64, frames: u64) -> Result<Judged, Box<dyn Error>> {
    let mut source = Frames::new(seed);
    for number in 0..frames {
        on_both_links(&source.next_frame(), seed, number)?;
    }
    Ok(Judged { frames, ..Judged::default() })
}

/// The frames of a seed before all three.
pub fn everywhere(seed: u64, frames: u64) -> Result<Judged, Box<dyn Error>> {
    let mut source = Frames::new(seed);
    let mut judged = Judged { frames, ..Judged::default() };
    let mut kernel = Kernel::load()?;
    let mut since = Vec::new();
    for number in 0..frames {
        let sent = source.next_frame();
        on_both_links(&sent, seed, number)?;
        judged.in_kernel += u64::from(kernel.run(&sent)?);
        since.push(sent);
        let is_last = number + 1 == frames;
        if (since.len() as u64).is_multiple_of(BATCH) || is_last {
            if kernel.difference()?.is_some() {
                let first = number + 1 - since.len() as u64;
                return Err(format!("seed {seed}: {}", first_difference(&since, first)?).into());
            }
            if since.len() as u64 == BATCH * BATCHES || is_last {
                judged.take_in(kernel.counted());
                kernel = Kernel::load()?;
                since.clear();
            }
        }
    }
    Ok(judged)
}

fn on_both_links(sent: &Sent, seed: u64, number: u64) -> Result<(), Box<dyn Error>> {
    for link in [Link::Ethernet, Link::Ip] {
        parser::judge(&sent.bytes, link)
            .map_err(|disagreement| format!("seed {seed}, frame {number}: {disagreement}"))?;
    }
    Ok(())
}

/// The first frame after which the kernel differs, and how.
fn first_difference(sent: &[Sent], first: u64) -> Result<String, Box<dyn Error>> {
    let mut kernel = Kernel::load()?;
    for (number, sent) in (first..).zip(sent) {
        kernel.run(sent)?;
        let Some(difference) = kernel.difference()? else { continue };
        let alone = differs_alone(sent)?;
        let smallest = if alone {
            parser::smallest(sent.bytes.clone(), |bytes| {
                let sent = Sent { bytes: bytes.to_vec(), ..sent.clone() };
                differs_alone(&sent).unwrap_or(false)
            })
        } else {
            sent.bytes.clone()
        };
        let after = if alone { "" } else { ", after those before it" };
        let (hook, hex) = (Hook::of(sent), hex(&smallest));
        return Ok(format!("frame {number}{after}: {difference}\n{hook:?} {sent:?}\nframe {hex}"));
    }
    Ok("the difference does not come again".to_owned())
}

fn differs_alone(sent: &Sent) -> Result<bool, Box<dyn Error>> {
    let mut kernel = Kernel::load()?;
    kernel.run(sent)?;
    Ok(kernel.difference()?.is_some())
}

impl Judged {
    fn take_in(&mut self, [counted, flows, events, lost]: [u64; 4]) {
        self.counted += counted;
        self.flows += flows;
        self.events += events;
        self.lost += lost;
    }
}
