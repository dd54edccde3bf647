//! The one place where the time is read.

use jiff::Timestamp;

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
}
