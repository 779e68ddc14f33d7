//! How many notifications a second a receiver takes.
//!
//! It is waited before anything is leased, never with a lease in hand: however slow a channel is, no lease of it
//! runs out for that.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The time in which so many are sent; a little more than a second, since what leaves in an even flow does not
/// arrive in one.
const PERIOD: Duration = Duration::from_millis(1_100);

/// The pace of one channel.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Option<Mutex<Interval>>,
    at_once: u32,
}

/// Leave to send some now.
#[derive(Debug)]
pub(super) struct Turn<'p> {
    interval: Option<MutexGuard<'p, Interval>>,
    /// So many.
    pub(super) at_once: u32,
}

impl Pace {
    /// At most so many a second, and never more than `most` at a time. Must be called within the runtime.
    pub(super) fn new(per_second: Option<NonZeroU32>, most: u32) -> Self {
        let Some(per_second) = per_second else { return Self { interval: None, at_once: most } };
        let mut interval = interval(PERIOD);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval: Some(Mutex::new(interval)), at_once: per_second.get().min(most) }
    }

    /// Waits until some may be sent.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let interval = match &self.interval {
            None => None,
            Some(interval) => {
                let mut interval = interval.lock().await;
                interval.tick().await;
                Some(interval)
            }
        };
        Turn { interval, at_once: self.at_once }
    }
}

impl Turn<'_> {
    /// Nothing was sent: the next turn is at once.
    pub(super) fn give_back(mut self) {
        if let Some(interval) = &mut self.interval {
            interval.reset_immediately();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_the_pace_of_the_channel_and_at_once_after_a_rest() {
        let start = Instant::now();
        let pace = Pace::new(NonZeroU32::new(4), 8);
        for expected in [0, 1_100, 2_200] {
            assert_eq!(pace.turn().await.at_once, 4);
            assert_eq!(start.elapsed().as_millis(), expected);
        }
        // Two turns in which there was nothing to send cost the one after them no time.
        pace.turn().await.give_back();
        pace.turn().await.give_back();
        pace.turn().await;
        assert_eq!(start.elapsed().as_millis(), 3_300);
        tokio::time::advance(Duration::from_secs(60)).await;
        pace.turn().await;
        assert_eq!(start.elapsed().as_millis(), 63_300);
        pace.turn().await;
        assert_eq!(start.elapsed().as_millis(), 64_400, "what was not used is not made up for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_without_a_pace_has_its_turn_at_any_time() {
        let start = Instant::now();
        let pace = Pace::new(None, 8);
        for _ in 0..100 {
            assert_eq!(pace.turn().await.at_once, 8);
        }
        assert!(start.elapsed().is_zero());
    }
}
