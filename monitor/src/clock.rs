//! The one place where the time is read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The time now.
    #[expect(
        clippy::disallowed_methods,
        clippy::unused_self,
        reason = "whoever has the clock may read it"
    )]
    pub fn now(self) -> Timestamp {
        Timestamp::now()
    }

    /// The time since the machine was started, also that in which it slept. Nobody sets it.
    #[expect(clippy::unused_self, reason = "whoever has the clock may read it")]
    pub fn since_boot(self) -> Duration {
        // Every kernel since 2.6.39 has it.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
    }
}

/// What a clock is set by at least to be set: smaller steps add up to nothing that matters, and are slewed
/// as a rule.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// Notices when the wall clock is set.
#[derive(Debug, Default)]
pub struct Steps(Option<(Timestamp, Duration)>);

impl Steps {
    /// By how much the wall clock was set since the reading before, where it was.
    pub fn step(&mut self, now: Timestamp, since_boot: Duration) -> Option<SignedDuration> {
        let (wall, boot) = self.0.replace((now, since_boot))?;
        let passed = SignedDuration::try_from(since_boot.saturating_sub(boot)).ok()?;
        let by = now.duration_since(wall).checked_sub(passed)?;
        (by.abs() >= STEP).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_is_set_is_told_from_time_that_passes() {
        let mut steps = Steps::default();
        let mut wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut boot = Duration::from_secs(77);
        let mut read = |set: i64, passed: u64| {
            wall += SignedDuration::from_secs(set + i64::try_from(passed).unwrap());
            boot += Duration::from_secs(passed);
            steps.step(wall, boot)
        };
        assert_eq!(read(0, 0), None);
        // It slept, or was stopped.
        assert_eq!(read(0, 30 * 3600), None);
        for set in [24 * 3600, -24 * 3600, 1, -1] {
            assert_eq!(read(set, 1), Some(SignedDuration::from_secs(set)));
            assert_eq!(read(0, 1), None);
        }
    }

    #[test]
    fn time_since_the_start_goes_on() {
        let before = Clock.since_boot();
        assert!(before > Duration::ZERO && Clock.since_boot() >= before);
    }
}
