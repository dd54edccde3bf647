//! What the daemon says of real packets, against what the kernel itself counted of them.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod applications;
#[cfg(test)]
mod attribution;
#[cfg(test)]
mod between;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod causes;
#[cfg(test)]
mod cgroups;
#[cfg(test)]
mod config_faults;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod datagrams;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod each_attempt;
#[cfg(test)]
mod export;
#[cfg(test)]
mod failures_over_restarts;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod healthy;
#[cfg(test)]
mod icmp;
#[cfg(test)]
mod interfaces;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lost_datagrams;
#[cfg(test)]
mod map_full;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod names;
#[cfg(test)]
mod obstacles;
#[cfg(test)]
mod others;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod page;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod prober;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod scans;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod second;
#[cfg(test)]
mod service;
#[cfg(test)]
mod sides;
#[cfg(test)]
mod stacked;
#[cfg(test)]
mod starved;
#[cfg(test)]
mod state;
#[cfg(test)]
mod storms;
#[cfg(test)]
mod suggest;
#[cfg(test)]
mod translation;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod web;
#[cfg(test)]
mod web_attacks;
#[cfg(test)]
mod wire_counts;
#[cfg(test)]
mod without_reasons;
