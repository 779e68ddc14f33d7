//! The program that started this one and watches over it: systemd, where it wants to hear (sd_notify(3)).
//!
//! All of it does nothing where nobody listens.

use std::io;
use std::time::Duration;

/// Tells it that the program is up.
///
/// # Errors
/// What the system says of the socket that it named.
pub fn ready() -> io::Result<()> {
    imp::ready()
}

/// Tells it that the program has been asked to end and is about to.
///
/// # Errors
/// As [`ready`].
pub fn stopping() -> io::Result<()> {
    imp::stopping()
}

/// How often it wants to hear [`alive`], or it starts the program anew: half the time that it waits, as
/// sd_watchdog_enabled(3) says.
pub fn life_sign() -> Option<Duration> {
    imp::watchdog().map(|limit| limit / 2).filter(|every| !every.is_zero())
}

/// The sign of life.
///
/// # Errors
/// As [`ready`].
pub fn alive() -> io::Result<()> {
    imp::alive()
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io;
    use std::time::Duration;

    use sd_notify::{NotifyState, notify, watchdog_enabled};

    pub fn ready() -> io::Result<()> {
        notify(&[NotifyState::Ready])
    }

    pub fn stopping() -> io::Result<()> {
        notify(&[NotifyState::Stopping])
    }

    pub fn alive() -> io::Result<()> {
        notify(&[NotifyState::Watchdog])
    }

    pub fn watchdog() -> Option<Duration> {
        watchdog_enabled()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::io;
    use std::time::Duration;

    pub fn ready() -> io::Result<()> {
        Ok(())
    }

    pub fn stopping() -> io::Result<()> {
        Ok(())
    }

    pub fn alive() -> io::Result<()> {
        Ok(())
    }

    pub fn watchdog() -> Option<Duration> {
        None
    }
}
