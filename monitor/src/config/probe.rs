//! `[probe]`: whether the daemon tries the flows that this host opens, and how often.

use jiff::SignedDuration;

use super::log::Log;
use super::presence::duration;
use super::section::Field;
use super::{words, written};

/// A round takes some seconds, and a closed connection occupies its port for a minute.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// How often; `None` inside for never, `None` outside for a fault.
pub(super) fn mean_every(
    probe: Option<&written::Probe>,
    log: &mut Log<'_>,
) -> Option<Option<SignedDuration>> {
    let Some(probe) = probe else { return Some(None) };
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
            time.map(Some)
        }
    }
}
