//! Deliveries. They are queued by [`super::DeviceStore::decide`].

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::{ChannelName, DeliveryId};

use super::StoreError;
use crate::domain::delivery::{Delivery, DeliveryState};

/// Which deliveries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only in these states; in all if empty.
    pub states: Vec<DeliveryState>,
    /// Only those to this channel.
    pub channel: Option<ChannelName>,
    /// At most so many; 0 for all.
    pub limit: u32,
}

/// Deliveries, worked on under a lease: a worker that dies loses only time.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Leases pending deliveries of these channels that are due by `now` to `worker` until `until`, at most `limit`,
    /// the longest due first. Two workers never hold one delivery at a time. Of one alert and channel only the one that
    /// was queued first of those that are pending is ever leased, so that a receiver hears what happened in its order. What
    /// belongs to a digest is left out, and nothing waits for it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_deliveries(
        &self,
        channels: &[ChannelName],
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Leases the parts of one message of several: of a digest of these channels that is due by `now`, the longest due first.
    /// What goes in the message, at most [`crate::domain::digest::CHANGES_MAX`] parts, is settled the first time; they come oldest
    /// first. Nothing if no digest is due. Digests wait for nothing, and nothing waits for them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_digest(
        &self,
        channels: &[ChannelName],
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// As [`DeliveryStore::finish_delivery`] for several, together; returns whether all were still held.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_deliveries(&self, deliveries: Vec<Delivery>, worker: &str) -> Result<bool, StoreError>;

    /// Writes how an attempt went and ends the lease, if `worker` still holds it; returns whether it did. What waits for a
    /// delivery is due no earlier than that is; so it is, too, when it is queued.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn finish_delivery(&self, delivery: Delivery, worker: &str) -> Result<bool, StoreError>;

    /// Ends all leases, so that what a worker that died had under way is sent again at once. Only for whoever knows that
    /// no other worker lives. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release_deliveries(&self) -> Result<u64, StoreError>;

    /// The delivery with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Makes a dead delivery pending and due at `now`, with all that went in one message with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such dead delivery, and others.
    async fn retry_delivery(&self, id: &DeliveryId, now: Timestamp) -> Result<Delivery, StoreError>;

    /// Makes all dead deliveries pending and due at `now`, or those of one channel; returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn retry_deliveries(&self, channel: Option<ChannelName>, now: Timestamp)
    -> Result<u64, StoreError>;

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;
}
