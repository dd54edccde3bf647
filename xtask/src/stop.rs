//! Whether somebody asked to stop: by Ctrl-C, SIGTERM, SIGHUP or Enter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, bail};

/// How often those who wait look.
const TICK: Duration = Duration::from_millis(50);

/// The wish to stop, shared by all that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// One that signals set. From now on they no longer end the process.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let asked = stop.clone();
        ctrlc::set_handler(move || asked.request()).context("catching Ctrl-C")?;
        Ok(stop)
    }

    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error, once it was asked for.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.requested() {
            bail!("stopped");
        }
        Ok(())
    }

    /// Sleeps, but not after it was asked for.
    pub(crate) fn pause(&self, how_long: Duration) {
        for _ in 0..how_long.as_millis().div_ceil(TICK.as_millis()) {
            if self.requested() {
                return;
            }
            sleep(TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_to_stop_waits_no_longer() {
        let stop = Stop::default();
        stop.check().unwrap();
        stop.clone().request();
        stop.check().unwrap_err();
        stop.pause(Duration::from_secs(86_400));
    }
}
