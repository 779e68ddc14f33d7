//! The webhook channel, after Standard Webhooks (<https://www.standardwebhooks.com>).
//!
//! Each attempt is signed anew with the present time, under the id of the delivery, which stays the same.
//! How an answer is understood:
//!
//! - 2xx: delivered. Only the status counts; of the body the beginning is read, to show it to people.
//! - 410 Gone: given up at once, as the standard asks; the delivery is dead and can be retried by hand.
//! - everything else is tried again on the standard's schedule: 3xx (redirects are never followed, they could
//!   lead past the check of addresses), 4xx (mostly a mistake that somebody puts right at the receiver), 5xx,
//!   time-outs, and addresses that may not be reached. `Retry-After` can make the wait longer, never shorter.

mod body;
mod secret;

use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;

pub use body::BODY_MAX;
use body::digest_body;
pub(super) use body::{kind, render, whole};
pub use secret::{Secret, SecretError};

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::digest::Digest;

/// The settings of a webhook.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to send, and how.
    pub http: HttpConfig,
    /// What to sign with.
    pub secret: Secret,
}

/// A webhook.
pub type Webhook = HttpChannel<Signed>;

impl Webhook {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, config: Config) -> Result<Self, TlsSetupError> {
        Ok(Self::with(name, Signed { secret: config.secret }, Client::new(config.http, &[])?))
    }
}

/// Bodies that are signed after Standard Webhooks.
#[derive(Debug)]
pub struct Signed {
    secret: Secret,
}

impl Format for Signed {
    fn posts(&self, delivery: &Delivery, now: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let body = render(&delivery.notification)?;
        Ok(vec![self.secret.signed(delivery.id.as_str(), now, body)])
    }

    fn digest(&self, digest: &Digest<'_>, now: Timestamp) -> Result<Option<Post>, serde_json::Error> {
        Ok(Some(self.secret.signed(digest.id.as_str(), now, digest_body(digest)?)))
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        understand(answer, now)
    }
}

/// What an answer means to the standard.
pub(super) fn understand(answer: &Answer, now: Timestamp) -> Attempt {
    if answer.status.is_success() {
        return Attempt::Delivered;
    }
    if answer.status == http::StatusCode::GONE {
        return answer.give_up("it wants no more webhooks");
    }
    answer.retry(now)
}
