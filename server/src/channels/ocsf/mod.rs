//! Compliance findings of the Open Cybersecurity Schema Framework (<https://schema.ocsf.io>), posted to a receiver or
//! appended to a file.
//!
//! Posted, an event is signed like a webhook or goes with a bearer token, and answers mean what they mean to a webhook.
//!
//! Appended, an event is one line of JSON. The file is opened anew for each event and synced before the event counts as
//! delivered: whatever rotates it may rename it at any time, and need tell nobody. A line that was cut off when the
//! collector died is ended by the next one. What comes twice has the same `metadata.uid`.

mod event;
mod file;

use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;

pub use event::VERSION;
pub use file::Appended;

use super::http::{Answer, Client, Format, HttpChannel, HttpConfig, Post};
use super::net::TlsSetupError;
use super::token::Token;
use super::webhook::{self, Secret};
use crate::domain::delivery::{Attempt, Delivery};

/// The settings.
#[derive(Debug, Clone)]
pub enum Config {
    /// Events are posted.
    Post {
        /// Where to send, and how.
        http: Box<HttpConfig>,
        /// What the receiver knows us by.
        proof: Proof,
    },
    /// Events are appended to this file.
    File(std::path::PathBuf),
}

/// What a receiver knows us by.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A signature after Standard Webhooks.
    Signature(Secret),
    /// A bearer token.
    Bearer(Token),
}

/// A channel that posts events.
pub type Posted = HttpChannel<Findings>;

impl Posted {
    /// Makes the channel.
    ///
    /// # Errors
    /// [`TlsSetupError`] if the CAs of the receiver cannot be read.
    pub fn new(name: ChannelName, http: HttpConfig, proof: Proof) -> Result<Self, TlsSetupError> {
        let client = match &proof {
            Proof::Signature(_) => Client::new(http, &[])?,
            Proof::Bearer(token) => Client::new(http, &[token.reveal()])?,
        };
        Ok(Self::with(name, Findings { proof }, client))
    }
}

/// Compliance findings, one in each body.
#[derive(Debug)]
pub struct Findings {
    proof: Proof,
}

impl Format for Findings {
    fn posts(&self, delivery: &Delivery, now: Timestamp) -> Result<Vec<Post>, serde_json::Error> {
        let body = event::render(delivery)?;
        Ok(vec![match &self.proof {
            Proof::Signature(secret) => secret.signed(delivery.id.as_str(), now, body),
            Proof::Bearer(token) => {
                Post::new(body).header("authorization", format!("Bearer {}", token.reveal()))
            }
        }])
    }

    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt {
        webhook::understand(answer, now)
    }
}
