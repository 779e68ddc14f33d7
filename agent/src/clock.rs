//! The only reader of clocks in the agent; everything else takes `now` as an argument.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the monotonic clock at zero.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn system() -> Self {
        Self { start: Instant::now() }
    }

    /// The wall clock, truncated to microseconds so that it survives every storage unchanged.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Time since the start, by a clock that never goes back.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.start)
    }
}
