//! Delivering alerts to one channel.
//!
//! Deliveries are leased, sent, and their outcome written. A worker that dies between sending and writing
//! leaves a lease that runs out: the delivery is sent again under the same id, by which a receiver knows it.
//! A channel that takes only so many a second is waited for before anything is leased.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use offchannel_shared::ids::{ChannelName, DeliveryId};
use offchannel_shared::span::Span;
use tokio::task::JoinSet;

use super::pace::Pace;
use super::runner::{Failure, Job, Next};
use crate::channels::Channel;
use crate::clock::Clock;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::digest::Digest;
use crate::metrics::Metrics;
use crate::random;
use crate::store::Store;

/// How long deliveries are leased; longer than any channel takes for one attempt.
const LEASE: Span = Span::seconds(90);
/// Most deliveries that are sent to one channel at a time.
const CONCURRENT: u32 = 8;
/// How often it is looked for deliveries that are due, beside being told of new ones.
const POLL: Duration = Duration::from_secs(1);

/// Delivers to one channel.
#[derive(Debug)]
pub(super) struct Deliver {
    store: Arc<dyn Store>,
    channel: Arc<dyn Channel>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    worker: String,
    pace: Pace,
}

impl Deliver {
    pub(super) fn new(
        store: Arc<dyn Store>,
        channel: Arc<dyn Channel>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        worker: String,
    ) -> Self {
        let pace = Pace::new(channel.per_second(), CONCURRENT);
        Self { store, channel, clock, metrics, worker, pace }
    }
}

#[async_trait]
impl Job for Deliver {
    fn name(&self) -> String {
        format!("deliver to {}", self.channel.name())
    }

    fn wakes_on_change(&self) -> bool {
        true
    }

    async fn run(&self) -> Result<Next, Failure> {
        let turn = self.pace.turn().await;
        let now = self.clock.now();
        let channels = [self.channel.name().clone()];
        let claimed =
            self.store.claim_deliveries(&channels, &self.worker, now, LEASE.after(now), turn.at_once).await?;
        if claimed.is_empty() {
            let until = LEASE.after(now);
            let parts = self.store.claim_digest(&channels, &self.worker, now, until).await?;
            if parts.is_empty() {
                turn.give_back();
                return Ok(Next::After(POLL));
            }
            drop(turn);
            self.digest(parts).await?;
            return Ok(Next::Now);
        }
        drop(turn);
        let mut sending = JoinSet::new();
        for delivery in claimed {
            let (channel, clock, metrics) =
                (Arc::clone(&self.channel), Arc::clone(&self.clock), self.metrics.clone());
            sending.spawn(async move { attempt(&*channel, &*clock, &metrics, delivery).await });
        }
        let mut failure = None;
        while let Some(sent) = sending.join_next().await {
            // Each is written as soon as it is known; one that fails does not keep the others from it.
            let written = match sent {
                Ok(delivery) => {
                    self.store.finish_delivery(delivery, &self.worker).await.map_err(Failure::from)
                }
                Err(error) => Err(error.into()),
            };
            match written {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!(channel = %self.channel.name(), "a lease ran out before its delivery ended")
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(Next::Now),
        }
    }
}

impl Deliver {
    /// One attempt to tell several changes together, taken in by all of them alike.
    async fn digest(&self, mut parts: Vec<Delivery>) -> Result<(), Failure> {
        let Some(digest) = Digest::of(&parts) else { return Ok(()) };
        let (name, id) = (self.channel.name(), digest.id.clone());
        let attempt = self.channel.send_digest(&digest, self.clock.now()).await;
        log(name, &id, &attempt);
        let (now, jitter) = (self.clock.now(), jitter());
        for part in &mut parts {
            part.attempted(attempt.clone(), now, jitter);
        }
        if let Some(first) = parts.first() {
            self.metrics.attempt(name, first.state);
            if first.state == DeliveryState::Dead {
                tracing::error!(channel = %name, delivery = %id, attempts = first.attempts, "given up: see `offchannel-server delivery list`");
            }
        }
        if !self.store.finish_deliveries(parts, &self.worker).await? {
            tracing::warn!(channel = %name, "a lease ran out before its digest ended");
        }
        Ok(())
    }
}

/// One attempt, taken in.
async fn attempt(
    channel: &dyn Channel,
    clock: &dyn Clock,
    metrics: &Metrics,
    mut delivery: Delivery,
) -> Delivery {
    let attempt = channel.send(&delivery, clock.now()).await;
    let (name, id) = (channel.name(), delivery.id.clone());
    log(name, &id, &attempt);
    delivery.attempted(attempt, clock.now(), jitter());
    metrics.attempt(channel.name(), delivery.state);
    if delivery.state == DeliveryState::Dead {
        tracing::error!(channel = %name, delivery = %id, attempts = delivery.attempts, "given up: see `offchannel-server delivery list`");
    }
    delivery
}

/// How an attempt went.
fn log(name: &ChannelName, id: &DeliveryId, attempt: &Attempt) {
    match attempt {
        Attempt::Delivered => tracing::info!(channel = %name, delivery = %id, "delivered"),
        Attempt::Accepted => tracing::info!(channel = %name, delivery = %id, "accepted"),
        Attempt::InPart { error } => {
            tracing::warn!(channel = %name, delivery = %id, error, "accepted, but not for everybody")
        }
        Attempt::Retry { error, .. } => {
            tracing::warn!(channel = %name, delivery = %id, error, "not delivered")
        }
        Attempt::GiveUp { error } => tracing::error!(channel = %name, delivery = %id, error, "not delivered"),
    }
}

/// From 0 to 1. Without random bytes there is no jitter; that is no reason to deliver nothing.
fn jitter() -> f64 {
    random::bytes::<4>().map_or(0.0, |bytes| f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}
