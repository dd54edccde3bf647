//! A process whose first thread stands still while the others go on.

use std::marker::PhantomData;

use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Held by this thread as a debugger holds it, until the value is dropped.
#[derive(Debug)]
pub struct Frozen(Pid, PhantomData<*const ()>);

impl Frozen {
    /// Stops the thread.
    pub fn new(process: u32) -> Self {
        let thread = Pid::from_raw(process.try_into().unwrap());
        ptrace::attach(thread).unwrap();
        let stopped = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
        Self(thread, PhantomData)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        ptrace::detach(self.0, None).unwrap();
    }
}
