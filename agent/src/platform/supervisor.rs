//! The program that started this one and watches over it: systemd, where it wants to hear (sd_notify(3)).
//!
//! All of it does nothing where nobody listens. Who does is said in variables of the environment that are systemd's,
//! not settings of ours.

use std::io;
use std::time::Duration;

/// What it may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The program is up.
    Ready,
    /// The program lives.
    Alive,
    /// The program has been asked to end and is about to.
    Stopping,
}

/// Tells it.
///
/// # Errors
/// What the system says of the socket that it named.
#[cfg(target_os = "linux")]
pub fn tell(sign: Sign) -> io::Result<()> {
    use sd_notify::{NotifyState, notify};

    notify(&[match sign {
        Sign::Ready => NotifyState::Ready,
        Sign::Alive => NotifyState::Watchdog,
        Sign::Stopping => NotifyState::Stopping,
    }])
}

/// Elsewhere nobody listens.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn tell(_sign: Sign) -> io::Result<()> {
    Ok(())
}

/// How often it wants to hear that the program lives, or it starts it anew: half the time that it waits, as
/// sd_watchdog_enabled(3) says.
#[cfg(target_os = "linux")]
pub fn life_sign() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| !every.is_zero())
}

/// Whether there is one that starts the program anew when it hangs, and so, as far as can be told, when it fails.
pub fn is_there() -> bool {
    life_sign().is_some()
}

/// Elsewhere nobody waits.
#[cfg(not(target_os = "linux"))]
pub fn life_sign() -> Option<Duration> {
    None
}
