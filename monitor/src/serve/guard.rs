//! The guard in force: `web.toml` is read again when it, or a file that it names, is another.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;

use super::Shared;
use crate::config::{self, Faults, Guard, Stamp, Web};

/// Follows `web.toml`.
#[derive(Debug)]
pub(super) struct Watch {
    web: Web,
    /// Of the files as they were read, and as they were last looked at.
    read: Vec<Stamp>,
    seen: Vec<Stamp>,
    guard: Arc<Guard>,
    /// Whether the log has it that the certificate has expired.
    said_expired: bool,
}

impl Watch {
    /// Reads the guard for the first time.
    pub(super) fn start(web: &Web, now: Timestamp, shared: &Shared) -> Result<Self, Faults> {
        let (stamps, guard) = match &web.config_file {
            Some(path) => read(path)?,
            None => (Vec::new(), Guard::default()),
        };
        let mut watch = Self {
            web: web.clone(),
            read: stamps.clone(),
            seen: stamps,
            guard: Arc::new(guard),
            said_expired: false,
        };
        watch.tell(now, shared);
        Ok(watch)
    }

    /// The guard in force.
    pub(super) fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Reads the files again where they changed and have not changed since the last look: a
    /// certificate and its key are not replaced at the same moment.
    pub(super) fn look(&mut self, now: Timestamp, shared: &Shared) {
        let before = std::mem::take(&mut self.seen);
        self.seen = self.read.iter().map(Stamp::again).collect();
        if self.seen != self.read && self.seen == before {
            self.read_again(now, shared);
        }
        if self.guard.expired(now).is_some() && !self.said_expired {
            self.tell(now, shared);
        }
    }

    fn read_again(&mut self, now: Timestamp, shared: &Shared) {
        let Some(path) = self.web.config_file.clone() else {
            return;
        };
        let config::Guarded { stamps, guard } = config::load_web(&path);
        (self.read, self.seen) = (stamps.clone(), stamps);
        match guard {
            Ok(guard) => {
                tracing::info!("{} and its files were read again", path.display());
                self.guard = Arc::new(guard);
                self.tell(now, shared);
            }
            Err(faults) => {
                let faults = faults.to_string().replace('\n', "; ");
                tracing::error!("what guarded the web port before stays in force: {faults}");
            }
        }
    }

    /// Says what is unwise when something new is in force, or when the certificate has just expired.
    fn tell(&mut self, now: Timestamp, shared: &Shared) {
        let weaknesses = self.guard.weaknesses(self.web.listen, now);
        for weakness in &weaknesses {
            tracing::warn!("{weakness}");
        }
        self.said_expired = self.guard.expired(now).is_some();
        let expires = self.guard.tls.as_ref().map(|tls| tls.expires);
        shared.web(|web| {
            web.certificate_expires = expires;
            web.weaknesses = weaknesses;
        });
    }
}

fn read(path: &Path) -> Result<(Vec<Stamp>, Guard), Faults> {
    let config::Guarded { stamps, guard } = config::load_web(path);
    Ok((stamps, guard?))
}
