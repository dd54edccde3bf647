//! What it costs to read the counts, by the number of flows.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark takes the time and prints its table"
)]

use std::{error::Error, net::Ipv4Addr, time::Instant};

use monitor::kernel::Object;
use monitor_common::{FlowKey, Side, Transport};

const ROUNDS: usize = 31;
/// Room of the map by default.
const DEFAULT: u32 = 16_384;

fn main() -> Result<(), Box<dyn Error>> {
    println!("median of {ROUNDS} reads of the flow map\n");
    println!("{:>8}{:>10}{:>12}{:>16}", "flows", "room", "ms", "ns for each");
    for flows in [0, 1_000, DEFAULT, 100_000] {
        let room = flows.max(DEFAULT);
        let mut object = Object::load(room, false, None)?;
        for number in 0..flows {
            let peer = Ipv4Addr::from(0x0a14_0000 + number).to_ipv6_mapped().octets();
            let peer = FlowKey::peer_words(peer);
            let key = FlowKey::new(peer, 50051, Transport::Tcp, Side::Server, false);
            if !object.flows.place(key)? {
                return Err("the map is full".into());
            }
        }
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut entries = 0_usize;
            object.flows.read(|_, _| entries += 1)?;
            times.push(started.elapsed().as_secs_f64());
            if entries != usize::try_from(flows)? {
                return Err(format!("{entries} flows of {flows}").into());
            }
        }
        times.sort_by(f64::total_cmp);
        let median = times[ROUNDS / 2];
        let each = if flows == 0 {
            String::new()
        } else {
            format!("{:.0}", median * 1e9 / f64::from(flows))
        };
        println!("{flows:>8}{room:>10}{:>12.2}{each:>16}", median * 1e3);
    }
    Ok(())
}
