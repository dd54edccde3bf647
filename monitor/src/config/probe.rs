//! `[probe]`: whether the daemon tries the flows that this host opens, and how often.

use jiff::SignedDuration;

use super::log::Log;
use super::presence::duration;
use super::section::Field;
use super::{words, written};

/// A round takes some seconds, and a closed connection occupies its port for a minute.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What the daemon itself tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// How often it tries the flows that this host opens, a minute to a day; `None` for never.
    pub every: Option<SignedDuration>,
}

pub(super) fn mean_probe(probe: Option<&written::Probe>, log: &mut Log<'_>) -> Option<Probe> {
    let Some(probe) = probe else { return Some(Probe::default()) };
    let help = "write how often, from `1m` to `24h`, such as `every = \"15m\"`".to_owned();
    match &probe.every {
        Field::Invalid => None,
        Field::Absent => {
            log.missing(&probe.place.child("every"), "`every` is missing", Some(help));
            None
        }
        Field::Given(every) => {
            let time = duration(&every.value);
            let time = time.filter(|time| (SHORTEST..=LONGEST).contains(time));
            if time.is_none() {
                let message = format!("{} is no time from 1m to 24h", words::quote(&every.value));
                log.fault(&every.place, message, Some(help));
            }
            time.map(|time| Probe { every: Some(time) })
        }
    }
}
