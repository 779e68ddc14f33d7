//! What a receiver answered, and what that means for a delivery.

use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use offchannel_shared::span::Span;

use crate::channels::text;
use crate::domain::delivery::Attempt;

/// Longest wait that a receiver may ask for with `Retry-After`.
const AFTER_MAX: Span = Span::minutes(24 * 60);
/// Most characters of a body that are shown.
const SHOWN: usize = 200;

/// What a receiver answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    pub(super) retry_after: Option<String>,
    /// The beginning of the body, without the channel's secrets.
    pub body: String,
}

impl Answer {
    /// That it is to be tried again, and not before the receiver said.
    pub fn retry(&self, now: Timestamp) -> Attempt {
        let error = if self.status.is_redirection() {
            let status = self.status;
            format!("the receiver answered {status}: redirects are not followed, set url to where it points")
        } else {
            self.told()
        };
        let after = self.retry_after.as_deref().and_then(|text| retry_after(text, now));
        Attempt::Retry { error, after }
    }

    /// That it will never work, and why.
    pub fn give_up(&self, why: &str) -> Attempt {
        Attempt::GiveUp { error: format!("{} ({why})", self.told()) }
    }

    fn told(&self) -> String {
        format!("the receiver answered {self}")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let body = text::clean(&self.body, SHOWN);
        if body.is_empty() { Ok(()) } else { write!(f, ": {body}") }
    }
}

/// RFC 9110, section 10.2.3: seconds or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Span> {
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            u64::try_from(at.as_second().saturating_sub(now.as_second())).unwrap_or(0)
        }
    };
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(AFTER_MAX.as_seconds());
    Some(Span::seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_an_end() {
        let now = Timestamp::from_second(1_772_618_400).unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999", Some(86_400)),
            ("Wed, 04 Mar 2026 10:01:30 GMT", Some(90)),
            ("Wed, 04 Mar 2020 10:01:30 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(retry_after(text, now).map(Span::as_seconds), seconds, "{text:?}");
        }
    }

    #[test]
    fn what_a_receiver_says_is_shown_in_one_bounded_line() {
        let answer = Answer {
            status: StatusCode::BAD_REQUEST,
            retry_after: None,
            body: format!("invalid\r\n\u{1b}[31m\u{202e}{}", "x".repeat(5_000)),
        };
        let shown = answer.to_string();
        assert!(shown.starts_with("400 Bad Request: invalid "), "{shown}");
        assert!(shown.chars().count() < 250 && !shown.contains(char::is_control), "{shown}");
    }
}
