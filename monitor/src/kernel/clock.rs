//! Turns the jiffies of the programs into time.

use std::time::Duration;

use aya::{
    maps::{Array, MapData},
    programs::SchedClassifier,
};
use monitor_common::{ClockReading, names};

use super::{Error, object::run};

/// Every tick rate that Linux has on the architectures that it has eBPF for, in ticks a second.
const RATES: [u64; 6] = [100, 128, 250, 256, 300, 1000];

/// How long two readings lie apart at least, so that the rates are told apart.
const APART: Duration = Duration::from_millis(120);

#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Reading(ClockReading);

#[expect(unsafe_code, reason = "aya asks for a promise that the layout is plain bytes")]
mod pod {
    // SAFETY: `repr(C)`, two integers and nothing between.
    unsafe impl aya::Pod for super::Reading {}
}

pub(super) struct Clock {
    map: Array<MapData, Reading>,
    ticks_per_second: u64,
}

impl Clock {
    /// Measures the tick rate, which takes a moment.
    pub(super) fn start(
        map: Array<MapData, Reading>,
        program: &SchedClassifier,
    ) -> Result<Self, Error> {
        let mut clock = Self { map, ticks_per_second: 0 };
        let first = clock.read(program)?;
        std::thread::sleep(APART);
        let second = clock.read(program)?;
        clock.ticks_per_second = rate(first, second);
        Ok(clock)
    }

    /// The clock as of now.
    pub(super) fn ages(&self, program: &SchedClassifier) -> Result<Ages, Error> {
        let now = self.read(program)?;
        Ok(Ages { now: now.jiffies, ticks_per_second: self.ticks_per_second })
    }

    fn read(&self, program: &SchedClassifier) -> Result<ClockReading, Error> {
        run(program, names::READ_CLOCK)?;
        let reading =
            self.map.get(&0, 0).map_err(|source| Error::Map { name: names::CLOCK, source })?;
        Ok(reading.0)
    }
}

/// The rate nearest to what two readings show.
fn rate(first: ClockReading, second: ClockReading) -> u64 {
    let ticks = second.jiffies.saturating_sub(first.jiffies);
    let nanoseconds = second.monotonic_ns.saturating_sub(first.monotonic_ns).max(1);
    let measured = ticks.saturating_mul(1_000_000_000) / nanoseconds;
    RATES.into_iter().min_by_key(|rate| rate.abs_diff(measured)).unwrap_or(1000)
}

/// Tells the age of a time in jiffies.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    now: u64,
    ticks_per_second: u64,
}

impl Ages {
    /// How long ago it was, `None` for 0, which is never.
    pub fn age(&self, jiffies: u64) -> Option<Duration> {
        if jiffies == 0 {
            return None;
        }
        let ticks = self.now.saturating_sub(jiffies);
        Some(Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / self.ticks_per_second)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use monitor_common::ClockReading;

    use super::{APART, Ages, RATES, rate};

    #[test]
    fn rate_is_told_from_two_readings() {
        for ticks_per_second in RATES {
            let nanoseconds = u64::try_from(APART.as_nanos()).unwrap();
            let ticks = nanoseconds * ticks_per_second / 1_000_000_000;
            let first = ClockReading { jiffies: 4_294_937_296, monotonic_ns: 77 };
            let second = ClockReading {
                jiffies: first.jiffies + ticks,
                monotonic_ns: first.monotonic_ns + nanoseconds,
            };
            let nearest = rate(first, second);
            assert!(nearest.abs_diff(ticks_per_second) * 20 <= ticks_per_second, "{nearest}");
        }
    }

    #[test]
    fn zero_is_never_and_the_future_is_now() {
        let ages = Ages { now: 1000, ticks_per_second: 250 };
        assert_eq!(ages.age(0), None);
        assert_eq!(ages.age(750), Some(Duration::from_secs(1)));
        assert_eq!(ages.age(1001), Some(Duration::ZERO));
    }
}
