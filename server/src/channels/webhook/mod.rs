//! The webhook channel, after Standard Webhooks (<https://www.standardwebhooks.com>).
//!
//! Each attempt is signed anew with the present time, under the id of the delivery, which stays the same.
//! How an answer is understood:
//!
//! - 2xx: delivered. Only the status counts, the body is not read.
//! - 410 Gone: given up at once, as the standard asks; the delivery is dead and can be retried by hand.
//! - everything else is tried again on the standard's schedule: 3xx (redirects are never followed, they could
//!   lead past the check of addresses), 4xx (mostly a mistake that somebody puts right at the receiver), 5xx,
//!   time-outs, and addresses that may not be reached. `Retry-After` can make the wait longer, never shorter.

mod address;
mod body;
mod client;
mod secret;
mod target;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::ChannelName;
use offchannel_shared::span::Span;

pub use address::{AllowPrivate, Place, PlaceError};
pub use body::BODY_MAX;
pub use client::WebhookError;
pub use secret::{Secret, SecretError};
pub use target::{Target, TargetError};

use super::Channel;
use crate::domain::delivery::{Attempt, Delivery};

/// Longest wait that a receiver may ask for with `Retry-After`.
const AFTER_MAX: Span = Span::minutes(24 * 60);

/// The settings of a webhook.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send.
    pub target: Target,
    /// What to sign with.
    pub secret: Secret,
    /// The CAs of the receiver in PEM, instead of the system's.
    pub ca_pem: Option<String>,
    /// Longest time for one attempt, all in all.
    pub timeout: Duration,
    /// Which addresses may be reached beside public ones.
    pub allow_private: AllowPrivate,
}

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    name: ChannelName,
    secret: Secret,
    timeout: Duration,
    client: client::Client,
}

impl Webhook {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`WebhookError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, WebhookError> {
        let Config { target, secret, ca_pem, timeout, allow_private } = config;
        let client = client::Client::new(target, ca_pem.as_deref(), allow_private)?;
        Ok(Self { name, secret, timeout, client })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, now: Timestamp) -> Attempt {
        let body = match body::render(&delivery.notification) {
            Ok(body) => body,
            Err(error) => {
                return Attempt::GiveUp {
                    error: format!("the notification cannot be written as JSON: {error}"),
                };
            }
        };
        let id = delivery.id.as_str();
        let timestamp = now.as_second();
        let headers = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.secret.sign(id, timestamp, &body)),
        ];
        let answer = tokio::time::timeout(self.timeout, self.client.post(&headers, body)).await;
        match answer {
            Err(_) => {
                let error = format!("no answer within {} s", self.timeout.as_secs_f32());
                Attempt::Retry { error, after: None }
            }
            Ok(Err(error)) => Attempt::Retry { error: error_chain(&error).to_string(), after: None },
            Ok(Ok(answer)) => understand(&answer, now),
        }
    }
}

/// What an answer means.
fn understand(answer: &client::Answer, now: Timestamp) -> Attempt {
    let status = answer.status;
    if status.is_success() {
        return Attempt::Delivered;
    }
    if status == http::StatusCode::GONE {
        return Attempt::GiveUp {
            error: "the receiver answered 410 Gone: it wants no more webhooks".to_owned(),
        };
    }
    let error = if status.is_redirection() {
        format!("the receiver answered {status}: redirects are not followed, set url to where it points")
    } else {
        format!("the receiver answered {status}")
    };
    let after = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
    Attempt::Retry { error, after }
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
}
