//! When the agent does things. Pure: instants are monotonic times since the start, `random` is a
//! value from a random source, so that every bound can be tested.
//!
//! A fleet must not act in step: the first check-in is spread by the device's own id, every interval
//! is jittered, failures back off with full jitter, and the collector's `Retry-After` is obeyed.

use std::time::Duration;

use offchannel_shared::ids::DeviceId;
use ring::digest::{SHA256, digest};

/// Shortest time between check-ins, whatever the collector says.
pub const CHECK_IN_MIN: Duration = Duration::from_secs(5);
/// Longest time between check-ins, whatever the collector says.
pub const CHECK_IN_MAX: Duration = Duration::from_secs(24 * 3600);
/// First wait after a failure, at most.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// Longest wait after failures.
pub const BACKOFF_CAP: Duration = Duration::from_secs(600);
/// Shortest wait after a failure: full jitter may draw nothing at all.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// Longest `Retry-After` that is obeyed; more would let a mistake silence a fleet for days.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Shortest `Retry-After`.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// Quiet time after the last hint before a scan.
const DEBOUNCE_QUIET: Duration = Duration::from_millis(150);
/// Longest time from the first hint to the scan.
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);

/// The seconds that a collector gave, within bounds.
pub fn check_in_interval(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds)).clamp(CHECK_IN_MIN, CHECK_IN_MAX)
}

/// Where in an interval this device's first check-in lies: the same after every start, and evenly
/// spread over devices.
pub fn splay(device: &DeviceId, interval: Duration) -> Duration {
    let hash = digest(&SHA256, device.as_str().as_bytes());
    let first = hash.as_ref().iter().take(8).fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    fraction(interval, first)
}

/// An interval, up to a tenth shorter or longer.
pub fn jitter(interval: Duration, random: u64) -> Duration {
    let tenth = interval / 10;
    interval.saturating_sub(tenth).saturating_add(fraction(tenth.saturating_mul(2), random))
}

/// How long to wait when the collector said so: never shorter, up to a tenth longer.
pub fn retry_after(asked: Duration, random: u64) -> Duration {
    let asked = asked.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX);
    asked.saturating_add(fraction(asked / 10, random))
}

/// How long to wait before something is tried again that was refused and will be again: between
/// half of [`BACKOFF_CAP`] and all of it.
pub fn long_wait(random: u64) -> Duration {
    BACKOFF_CAP / 2 + fraction(BACKOFF_CAP / 2, random)
}

/// How long to wait after failures in a row: exponential, with full jitter and a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more failure; says how long to wait.
    pub fn failed(&mut self, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let most = BACKOFF_BASE.saturating_mul(doubled).min(BACKOFF_CAP);
        fraction(most, random).max(BACKOFF_MIN)
    }

    /// It worked; the next failure starts anew.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Many hints, one scan: waits for quiet, but not for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Debounce {
    first: Option<Duration>,
    last: Duration,
}

impl Debounce {
    /// A hint came.
    pub fn hint(&mut self, now: Duration) {
        self.first.get_or_insert(now);
        self.last = now;
    }

    /// When to scan; `None` if nothing was hinted.
    pub fn due(&self) -> Option<Duration> {
        let first = self.first?;
        Some(self.last.saturating_add(DEBOUNCE_QUIET).min(first.saturating_add(DEBOUNCE_MAX)))
    }

    /// The scan starts; later hints are for the next one.
    pub fn clear(&mut self) {
        self.first = None;
    }
}

/// `random / 2^64` of a length.
fn fraction(length: Duration, random: u64) -> Duration {
    // The product needs 128 bits, the quotient is at most `length` again.
    let nanos = (length.as_nanos().min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_check_ins_of_many_devices_are_spread() {
        let interval = Duration::from_secs(300);
        let mut tenths = [0; 10];
        for number in 0..2000u128 {
            let device = DeviceId::from_random((number << 64 | number).to_be_bytes());
            let at = splay(&device, interval);
            assert_eq!(at, splay(&device, interval), "the same device always draws the same");
            tenths[(at.as_secs() / 30) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (140..260).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_tenth(seconds in 0u32..200_000, random: u64) {
            let interval = check_in_interval(seconds);
            prop_assert!((CHECK_IN_MIN..=CHECK_IN_MAX).contains(&interval));
            let jittered = jitter(interval, random);
            prop_assert!(jittered >= interval * 9 / 10 && jittered <= interval * 11 / 10, "{:?}", jittered);
        }

        #[test]
        fn a_collector_is_never_asked_sooner_than_it_said(seconds in 0u64..1_000_000, random: u64) {
            let wait = retry_after(Duration::from_secs(seconds), random);
            prop_assert!(wait >= Duration::from_secs(seconds.clamp(1, 3600)));
            prop_assert!(wait <= RETRY_AFTER_MAX * 11 / 10);
        }

        #[test]
        fn backoff_grows_to_its_cap_and_starts_anew(failures in 1usize..80, random: u64) {
            let mut backoff = Backoff::default();
            let mut most = BACKOFF_BASE;
            for _ in 0..failures {
                let wait = backoff.failed(random);
                prop_assert!(wait >= BACKOFF_MIN && wait <= most.min(BACKOFF_CAP), "{:?}", wait);
                most = most.saturating_mul(2);
            }
            backoff.succeeded();
            prop_assert!(backoff.failed(u64::MAX) <= BACKOFF_BASE);
        }

        #[test]
        fn without_luck_backoff_never_shrinks(failures in 2usize..80) {
            let mut backoff = Backoff::default();
            let waits: Vec<Duration> = (0..failures).map(|_| backoff.failed(u64::MAX)).collect();
            prop_assert!(waits.is_sorted(), "{:?}", waits);
        }

        #[test]
        fn hints_without_end_do_not_starve_the_scan(gaps in proptest::collection::vec(0u64..149, 1..100)) {
            let mut debounce = Debounce::default();
            let mut now = Duration::from_secs(7);
            for gap in gaps {
                debounce.hint(now);
                let due = debounce.due().unwrap();
                prop_assert!(due <= Duration::from_secs(8), "first hint at 7 s, scan at {:?}", due);
                prop_assert!(due >= now.min(Duration::from_secs(8)));
                now += Duration::from_millis(gap);
            }
            debounce.clear();
            prop_assert_eq!(debounce.due(), None);
        }
    }
}
