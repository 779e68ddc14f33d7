//! Spans of time as people write them: `90s`, `5m`, `72h`, `7d`, `2w`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Units with their length in seconds, largest first.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A whole number of seconds, written as a number and one unit of `s`, `m`, `h`, `d`, `w`.
///
/// Days and weeks are 24 and 168 hours: a deadline does not move with daylight saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u32);

/// A text that is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a span of time: expected a whole number and a unit of s, m, h, d or w, such as 72h")]
pub struct SpanError(String);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// A span of so many minutes; saturates at the largest span.
    pub const fn minutes(minutes: u32) -> Self {
        Self(minutes.saturating_mul(60))
    }

    /// Its length in seconds.
    pub const fn as_seconds(self) -> u32 {
        self.0
    }

    /// The same length as a [`Duration`].
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// The instant this much later, or the latest one there is.
    pub fn after(self, start: jiff::Timestamp) -> jiff::Timestamp {
        start.checked_add(self.as_duration()).unwrap_or(jiff::Timestamp::MAX)
    }

    /// The instant this much earlier, or the earliest one there is.
    pub fn before(self, end: jiff::Timestamp) -> jiff::Timestamp {
        end.checked_sub(self.as_duration()).unwrap_or(jiff::Timestamp::MIN)
    }
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.chars().take(40).collect());
        let unit = text.chars().next_back().ok_or_else(error)?;
        let number = text.strip_suffix(unit).ok_or_else(error)?;
        let (_, length) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        // `parse` would take a sign; a span has none.
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let number: u64 = number.parse().map_err(|_| error())?;
        let seconds = number.checked_mul(length).and_then(|s| u32::try_from(s).ok()).ok_or_else(error)?;
        Ok(Self(seconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u64::from(self.0);
        let whole = UNITS.into_iter().find(|(_, length)| seconds != 0 && seconds % length == 0);
        let (unit, length) = whole.unwrap_or(('s', 1));
        write!(f, "{}{unit}", seconds / length)
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_a_number_and_a_unit() {
        for bad in
            ["", "s", "5", "5 m", "-5m", "+5m", "1.5h", "5y", "99999999999999999999s", "9999999w", "5µ"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(seconds: u32) {
            let span = Span::seconds(seconds);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = text.parse::<Span>();
        }
    }
}
