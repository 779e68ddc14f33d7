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

mod body;
mod secret;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;

pub use body::BODY_MAX;
pub use secret::{Secret, SecretError};

use super::Channel;
use super::http::{Answer, Client, HttpConfig};
use super::net::TlsSetupError;
use crate::domain::delivery::{Attempt, Delivery};

/// The settings of a webhook.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how.
    pub http: HttpConfig,
    /// What to sign with.
    pub secret: Secret,
}

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    name: ChannelName,
    secret: Secret,
    client: Client,
}

impl Webhook {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        Ok(Self { name, secret: config.secret, client: Client::new(config.http)? })
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
        self.client.post(&headers, body).await.map_or_else(Attempt::from, |answer| understand(&answer, now))
    }
}

/// What an answer means.
fn understand(answer: &Answer, now: Timestamp) -> Attempt {
    if answer.status.is_success() {
        return Attempt::Delivered;
    }
    if answer.status == http::StatusCode::GONE {
        return Attempt::GiveUp {
            error: "the receiver answered 410 Gone: it wants no more webhooks".to_owned(),
        };
    }
    answer.retry(now)
}
