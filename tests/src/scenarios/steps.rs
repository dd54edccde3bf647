//! What happens in a scenario, one after the other.

use std::time::Duration;

use fastrand::Rng;

use super::plan::Side;

/// The most attempts of a scenario.
pub(super) const MOST: u16 = 8;

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes pass both ways, and it is closed in order.
    Works,
    /// The same, but its first SYN is lost.
    Late,
    /// Nothing listens.
    Refused,
    /// The host's firewall drops what comes in.
    FirewallIn,
    /// The host's firewall drops what goes out.
    FirewallOut,
    /// What the host sends is lost on its way to the peer.
    Lost,
    /// The asker connects, and resets without a byte.
    Checked,
}

/// What is beside the flow, and none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// A stranger asks for all ports.
    Scan,
    /// A stranger connects to the service, and resets.
    StrangerChecks,
    /// A container, which the host masquerades, asks the peer.
    Container,
    /// A container with an address of its own, for which the host is a router, asks the peer.
    Forwarded,
}

/// A step of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Attempt {
        kind: Kind,
        /// How long it goes on if nobody answers.
        patience: Duration,
        /// How long nothing happens after it.
        pause: Duration,
    },
    Noise {
        noise: Noise,
        /// Where it asks for something, the answers are lost.
        fails: bool,
    },
}

/// The daemon gives up after 5 s what nobody answers.
pub(crate) const PATIENCE: Duration = Duration::from_millis(5700);
/// One SYN: enough where the host is known to have dropped it.
const ONE_SYN: Duration = Duration::from_millis(700);

/// Failures by different causes, and successes, in some order.
pub(super) fn mixed(random: &mut Rng, side: Side) -> Vec<Step> {
    use Kind::{Checked, FirewallIn, FirewallOut, Late, Lost, Refused, Works};
    const FAILS: [Kind; 4] = [Refused, FirewallIn, FirewallOut, Lost];
    let some = |random: &mut Rng, kinds: &[Kind]| {
        let times = random.usize(1..=3);
        (0..times).map(|_| *random.choice(kinds).unwrap()).collect::<Vec<_>>()
    };
    let fails = |random: &mut Rng| some(random, &FAILS);
    let works = |random: &mut Rng| some(random, &[Works, Late]);
    let kinds = match random.u8(0..6) {
        // One cause, or several.
        0 => vec![*random.choice(&FAILS).unwrap(); random.usize(1..=4)],
        1 => fails(random),
        2 => [fails(random), works(random)].concat(),
        3 => [works(random), fails(random)].concat(),
        4 => [fails(random), works(random), fails(random)].concat(),
        _ => {
            let all = [Works, Late, Checked, Refused, FirewallIn, FirewallOut, Lost];
            (0..random.u16(1..=MOST)).map(|_| *random.choice(&all).unwrap()).collect()
        }
    };
    attempts(random, side, kinds)
}

/// Successes and checks, and noise beside them.
pub(super) fn healthy(random: &mut Rng, side: Side) -> Vec<Step> {
    let noises = [Noise::Scan, Noise::StrangerChecks, Noise::Container, Noise::Forwarded];
    let kinds = (0..random.u8(2..=5))
        .map(|_| *random.choice(&[Kind::Works, Kind::Late, Kind::Checked]).unwrap())
        .chain([Kind::Works])
        .collect();
    let mut steps = attempts(random, side, kinds);
    for _ in 0..random.u8(1..=3) {
        let at = random.usize(0..=steps.len());
        let noise = *random.choice(&noises).unwrap();
        // Where the service is this host's, nobody serves the containers.
        let fails = side == Side::Server || random.bool();
        steps.insert(at, Step::Noise { noise, fails });
    }
    steps
}

fn attempts(random: &mut Rng, side: Side, kinds: Vec<Kind>) -> Vec<Step> {
    let attempt = |kind| {
        let is_proven = matches!(
            (kind, side),
            (Kind::FirewallIn, Side::Server) | (Kind::FirewallOut, Side::Client)
        );
        let patience = if is_proven && random.bool() { ONE_SYN } else { PATIENCE };
        let pause = Duration::from_millis(random.u64(0..1500));
        Step::Attempt { kind, patience, pause }
    };
    kinds.into_iter().map(attempt).collect()
}
