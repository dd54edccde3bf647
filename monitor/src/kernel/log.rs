//! The kernel programs' own log: rare events only, off unless asked for.

use aya_log::EbpfLogger;

use super::{Error, Object};

/// Passes what the programs log on to this process's log.
pub struct KernelLog(EbpfLogger<&'static dyn log::Log>);

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelLog").finish_non_exhaustive()
    }
}

impl KernelLog {
    /// Opens the log of programs that were loaded with it.
    pub fn open(object: &mut Object) -> Result<Self, Error> {
        let logger = EbpfLogger::init(object.ebpf()).map_err(Error::Log)?;
        Ok(Self(logger))
    }

    /// Passes on what came since.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}
