//! Waiting for something to become true, with a limit and a message that says how it stood at the end.

use std::time::{Duration, Instant};

use crate::clock::instant;

/// How long anything may take. Nothing here takes long; a busy machine does.
pub const LIMIT: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` gives a value. Its error is how things stand; the last one is told at the limit.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
    let end = instant() + LIMIT;
    loop {
        match condition() {
            Ok(value) => return value,
            Err(status) if instant() >= end => panic!("waited {LIMIT:?} for {what}; at last: {status}"),
            Err(_) => pause(),
        }
    }
}

/// Waits until an instant, for what is to happen at any moment.
pub fn wait_until(end: Instant) {
    let left = || end.saturating_duration_since(instant());
    wait_for("a moment to pass", || {
        if left().is_zero() { Ok(()) } else { Err(format!("{:?} are left", left())) }
    });
}

#[expect(clippy::disallowed_methods, reason = "the one poll of a condition with a limit")]
fn pause() {
    std::thread::sleep(EVERY);
}
