//! Frames that are sent beside a test, of which the number is known.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::Duration,
};

use crate::{Namespace, RawSocket};

/// How long nothing is sent between two bursts.
const GAP: Duration = Duration::from_millis(4);

/// Sends frames out of a device, one after the other and from the start again, until the value goes.
#[derive(Debug)]
pub struct Traffic {
    sent: Arc<Mutex<u64>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// That many frames in each burst: less than a device's queue holds, so that none is lost.
    pub fn start(namespace: &Namespace, device: &str, frames: Vec<Vec<u8>>, burst: u64) -> Self {
        let raw = RawSocket::new(namespace, device);
        let (sent, stop) = (Arc::<Mutex<u64>>::default(), Arc::<AtomicBool>::default());
        let (count, ends) = (Arc::clone(&sent), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut next = frames.iter().cycle();
            while !ends.load(Ordering::Relaxed) {
                let mut count = count.lock().unwrap();
                for frame in next.by_ref().take(usize::try_from(burst).unwrap()) {
                    raw.send(frame);
                    *count += 1;
                }
                drop(count);
                sleep(GAP);
            }
        });
        Self { sent, stop, thread: Some(thread) }
    }

    /// How many frames were sent until now. None is while this is held.
    pub fn pause(&self) -> MutexGuard<'_, u64> {
        self.sent.lock().unwrap()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // If it panicked, it has said so.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
