//! What happens without anybody asking: time passes, another process changes something.

use offchannel_shared::ids::{AlertId, DeliveryId, FindingId, Id, Kind};
use ring::digest::{Context, SHA256};

use super::stats::count;
use super::{Service, ServiceError};
use crate::domain::case::NewIds;
use crate::domain::ingest;

impl Service {
    /// Judges devices that are due, at most `limit`; returns how many there were.
    ///
    /// # Errors
    /// [`ServiceError::Store`] and others; the rest stays due.
    pub async fn evaluate_due(&self, limit: u32) -> Result<u32, ServiceError> {
        if self.in_force().is_err() {
            return Ok(0);
        }
        // Silence is judged by when devices were heard of: what is known must be written first.
        let due = self.0.store.due(self.now(), limit).await?;
        if !due.is_empty() {
            self.flush_seen().await?;
        }
        let mut judged = 0;
        for device in due {
            let decided =
                self.decide(&device, |case, context, ids| ingest::evaluate(case, context, ids)).await;
            match decided {
                Ok(_) => judged += 1,
                // Retired or gone since it was listed.
                Err(ServiceError::Refused(_) | ServiceError::DeviceUnknown) => {}
                Err(error) => return Err(error),
            }
            count(&self.0.stats.evaluations);
        }
        Ok(judged)
    }

    /// Writes when devices were heard of.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; it is kept for the next time then.
    pub async fn flush_seen(&self) -> Result<(), ServiceError> {
        let seen = self.0.seen.take();
        if seen.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.0.store.seen(seen.clone()).await {
            self.0.seen.put_back(seen);
            return Err(error.into());
        }
        Ok(())
    }

    /// Reads anew what another process has changed, an admin command for example.
    ///
    /// # Errors
    /// [`ServiceError::Store`] and [`ServiceError::StoredPolicy`].
    pub async fn refresh(&self) -> Result<(), ServiceError> {
        if self.0.store.changed_elsewhere().await? {
            self.0.devices.clear();
            self.load_policy().await?;
            self.nudge();
        }
        Ok(())
    }
}

/// New ids out of one random seed: a decision that has to be repeated makes the same ids again, and
/// no call can fail in the middle of it.
#[derive(Debug)]
pub(super) struct DerivedIds {
    seed: [u8; 32],
    count: u64,
}

impl DerivedIds {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    fn next<K: Kind>(&mut self) -> Id<K> {
        self.count += 1;
        let mut hash = Context::new(&SHA256);
        hash.update(&self.seed);
        hash.update(&self.count.to_le_bytes());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        Id::from_random(bytes)
    }
}

impl NewIds for DerivedIds {
    fn finding(&mut self) -> FindingId {
        self.next()
    }
    fn alert(&mut self) -> AlertId {
        self.next()
    }
    fn delivery(&mut self) -> DeliveryId {
        self.next()
    }
}
