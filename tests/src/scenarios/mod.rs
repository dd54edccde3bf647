//! Random scenarios with real packets, and a plain model that says what has to be said of them.

mod model;
mod network;
mod noise;
mod plan;
mod play;
mod steps;
mod watch;

use std::{panic::resume_unwind, thread};

use network::Network;
use plan::{FIRST, MOST, Scenario};
use watch::Watcher;

use crate::Daemon;

/// Plays the scenarios of these seeds, many at a time, and gives those of which something else was said
/// than the model says. Of healthy ones, nothing may be said to be wrong at any time.
pub fn disagreements(seeds: &[u64], is_healthy: bool, said: impl Fn(usize)) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut done = 0;
    for batch in seeds.chunks(MOST) {
        let numbers = FIRST..;
        let scenarios = batch.iter().zip(numbers);
        let scenarios: Vec<_> =
            scenarios.map(|(&seed, number)| Scenario::new(seed, number, is_healthy)).collect();
        wrong.extend(together(&scenarios, is_healthy));
        done += batch.len();
        said(done);
    }
    wrong
}

fn together(scenarios: &[Scenario], is_healthy: bool) -> Vec<String> {
    let network = Network::new(scenarios);
    let config: String = scenarios.iter().map(Scenario::config).collect();
    let daemon = Daemon::start(&network.host, &config);
    let watcher = Watcher::new(&daemon);
    let mut wrong: Vec<String> = thread::scope(|scope| {
        let watching = scope.spawn(|| watcher.watch(&daemon));
        let playing = scenarios.iter().map(|scenario| {
            let (network, watcher) = (&network, &watcher);
            (scenario, scope.spawn(move || play::play(network, scenario, watcher, is_healthy)))
        });
        let playing: Vec<_> = playing.collect();
        let ended: Vec<_> = playing
            .into_iter()
            .filter_map(|(scenario, played)| {
                let why = match played.join() {
                    Ok(Ok(())) => return None,
                    Ok(Err(why)) => why,
                    Err(_) => "it panicked".to_owned(),
                };
                let Scenario { seed, flow, is_ipv6, translation, steps, .. } = scenario;
                let report = watcher.latest();
                let dropped = watch::dropped(&report, scenario);
                let lost = report.lost();
                Some(format!(
                    "seed {seed}: {why}\n{} at {:?}, IPv6: {is_ipv6}, translation: {translation:?}, {steps:?}\n\
                     dropped: {dropped:?}, seen and not counted: {lost:?}",
                    flow.flow, flow.side,
                ))
            })
            .collect();
        watcher.end();
        watching.join().unwrap_or_else(|panic| resume_unwind(panic));
        ended
    });
    if is_healthy {
        wrong.extend(watcher.wrong());
    }
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    wrong
}
