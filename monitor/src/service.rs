//! What the daemon and systemd tell each other. Without systemd nobody listens.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// Says that every program is attached and the first report is there.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A sign of life, which systemd waits for where the unit has `WatchdogSec=`.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Says that the config is read again, until it is [`ready`].
pub fn reloading() {
    // Where the unit is of `Type=notify-reload`, the time has to be with it.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// Says why it does not start: `systemctl status` shows it.
pub fn refused(why: &str) {
    tell(&[NotifyState::Status(why)]);
}

/// Says that it ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd is not told how the daemon is");
    }
}

/// The port of the pages: what systemd has opened by a socket unit, else opened here. It does not
/// block.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = match ListenFd::from_env().take_tcp_listener(0)? {
        None => TcpListener::bind(address)?,
        Some(inherited) => {
            let opened = inherited.local_addr()?;
            if opened != address {
                tracing::warn!(%opened, config = %address, "systemd opened another port than the config has");
            }
            inherited
        }
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}
