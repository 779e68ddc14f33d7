//! A channel over HTTP: what every kind of them has in common.

use std::fmt::Debug;
use std::num::NonZeroU32;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ChannelName;

use super::{Answer, Client};
use crate::channels::{Channel, Tried};
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::digest::Digest;

/// What one kind of channel over HTTP adds: what is sent, and what an answer means.
pub trait Format: Debug + Send + Sync {
    /// What to send, one after the other; mostly one. The next is sent only if the one before was taken. None is for
    /// what the receiver has no word for: it counts as delivered.
    ///
    /// # Errors
    /// Whatever `serde_json` refuses.
    fn posts(&self, delivery: &Delivery, now: Timestamp) -> Result<Vec<Post>, serde_json::Error>;

    /// What to send of several changes at once; none if there is no form for that.
    ///
    /// # Errors
    /// Whatever `serde_json` refuses.
    fn digest(&self, _: &Digest<'_>, _: Timestamp) -> Result<Option<Post>, serde_json::Error> {
        Ok(None)
    }

    /// What an answer means.
    fn understand(&self, answer: &Answer, now: Timestamp) -> Attempt;

    /// How many notifications a second the receiver takes, if it does not take any number.
    fn per_second(&self) -> Option<NonZeroU32> {
        None
    }
}

/// A body in JSON with the headers that it needs.
#[derive(Debug, Clone)]
pub struct Post {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Post {
    /// A body without headers of its own.
    pub fn new(body: Vec<u8>) -> Self {
        Self { headers: Vec::new(), body }
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// With one header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// A channel over HTTP.
#[derive(Debug)]
pub struct HttpChannel<F> {
    name: ChannelName,
    format: F,
    client: Client,
}

impl<F: Format> HttpChannel<F> {
    pub(in crate::channels) fn with(name: ChannelName, format: F, client: Client) -> Self {
        Self { name, format, client }
    }
}

#[async_trait]
impl<F: Format> Channel for HttpChannel<F> {
    fn name(&self) -> &ChannelName {
        &self.name
    }

    async fn send(&self, delivery: &Delivery, now: Timestamp) -> Attempt {
        self.try_out(delivery, now).await.attempt
    }

    async fn try_out(&self, delivery: &Delivery, now: Timestamp) -> Tried {
        match self.format.posts(delivery, now) {
            Ok(posts) => self.send_posts(posts, now).await,
            Err(error) => unwritten(&error),
        }
    }

    async fn send_digest(&self, digest: &Digest<'_>, now: Timestamp) -> Attempt {
        match self.format.digest(digest, now) {
            Ok(Some(post)) => self.send_posts(vec![post], now).await.attempt,
            Ok(None) => Attempt::GiveUp { error: "this kind of channel has no digests".to_owned() },
            Err(error) => unwritten(&error).attempt,
        }
    }

    fn per_second(&self) -> Option<NonZeroU32> {
        self.format.per_second()
    }
}

fn unwritten(error: &serde_json::Error) -> Tried {
    let error = format!("the notification cannot be written as JSON: {error}");
    Tried { attempt: Attempt::GiveUp { error }, said: None }
}

impl<F: Format> HttpChannel<F> {
    async fn send_posts(&self, posts: Vec<Post>, now: Timestamp) -> Tried {
        // Where there is nothing to send, everything was sent.
        let mut tried = Tried { attempt: Attempt::Delivered, said: None };
        for post in posts {
            tried = match self.client.post(post).await {
                Ok(answer) => {
                    Tried { attempt: self.format.understand(&answer, now), said: Some(answer.to_string()) }
                }
                Err(error) => Tried { attempt: error.into(), said: None },
            };
            if !matches!(tried.attempt, Attempt::Delivered | Attempt::Accepted) {
                break;
            }
        }
        tried
    }
}
