//! Waiting for what happens soon, and never for ever.

use std::{
    env,
    fmt::Debug,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// How long anything may take that is not slow by nature.
pub const DEADLINE: Duration = Duration::from_secs(12);

const EVERY: Duration = Duration::from_millis(40);

#[expect(clippy::disallowed_methods, reason = "a deadline is a time of the machine")]
fn now() -> Instant {
    Instant::now()
}

/// How many times as long as on an ordinary machine everything may take: `BACKUPFLOW_PATIENCE`.
fn patience() -> u32 {
    env::var("BACKUPFLOW_PATIENCE").map_or(1, |times| times.parse().unwrap())
}

/// Asks again and again until the answer is `Ok`; after the deadline the last refusal is the
/// test's failure.
pub fn until<T, E: Debug>(what: &str, deadline: Duration, ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = deadline * patience();
    within(deadline, ask).unwrap_or_else(|refusal| {
        panic!("{what} did not come to pass within {deadline:?}: {refusal:#?}")
    })
}

/// Asks again and again until the answer is `Ok`; after the deadline, the last refusal.
pub fn within<T, E>(deadline: Duration, mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let start = now();
    loop {
        match ask() {
            Err(_) if start.elapsed() <= deadline => sleep(EVERY),
            answer => return answer,
        }
    }
}

/// The time as the daemon tells it.
#[expect(clippy::disallowed_methods, reason = "it is compared with the daemon's times")]
pub fn wall_clock() -> Timestamp {
    Timestamp::now()
}

/// How long something took.
pub fn elapsed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let result = f();
    (result, start.elapsed())
}
