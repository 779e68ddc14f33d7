//! What happens without anybody asking: time passes, another process changes something.

use std::sync::atomic::Ordering;

use offchannel_shared::error_chain::error_chain;
use offchannel_shared::ids::{AlertId, DeliveryId, FindingId, Id, Kind};
use ring::digest::{Context, SHA256};
use tokio::task::JoinSet;

use super::stats::count;
use super::{Service, ServiceError};
use crate::domain::case::NewIds;
use crate::domain::ingest;

/// Devices that are judged at the same time.
const AT_ONCE: usize = 64;

impl Service {
    /// Judges devices that are due, at most `limit`; returns how many there were.
    ///
    /// # Errors
    /// The first [`ServiceError`] of those that could not be judged; they stay due, and hold up no other.
    pub async fn evaluate_due(&self, limit: u32) -> Result<u32, ServiceError> {
        // What was published by another process is what made them due: they are to be judged by it.
        self.load_policy().await?;
        if self.in_force().is_err() {
            return Ok(0);
        }
        // Silence is judged by when devices were heard of: what is known must be written first.
        let due = self.0.store.due(self.now(), limit).await?;
        if !due.is_empty() {
            // As with the policy.
            self.load_exceptions().await?;
            self.load_tree().await?;
            self.flush_seen().await?;
        }
        let (mut judged, mut failed) = (0, None);
        for some in due.chunks(AT_ONCE) {
            // Together, so that one commit serves many.
            let mut running = JoinSet::new();
            for device in some {
                let (service, device) = (self.clone(), device.clone());
                running.spawn(async move {
                    let judge = |case, context: &ingest::Context<'_>, ids: &mut DerivedIds| {
                        ingest::evaluate(case, context, ids)
                    };
                    let outcome = service.decide(&device, judge).await;
                    (device, outcome)
                });
            }
            while let Some(ended) = running.join_next().await {
                // A task that was cut off leaves its device due.
                let Ok((device, outcome)) = ended else { continue };
                count(&self.0.stats.evaluations);
                match outcome {
                    Ok(_) => judged += 1,
                    // Retired or gone since it was listed.
                    Err(ServiceError::Refused(_) | ServiceError::DeviceUnknown) => {}
                    Err(error) => {
                        tracing::error!(%device, error = %error_chain(&error), "a device could not be judged");
                        failed.get_or_insert(error);
                    }
                }
            }
            // Where a policy puts many in breach at once, most are still to come.
            self.judge_surges().await?;
        }
        failed.map_or(Ok(judged), Err)
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

    /// Takes in what another process has announced since this was last asked, so that what was revoked by an admin
    /// command is refused from the next request on and not from the next look at the database.
    ///
    /// # Errors
    /// As [`Service::refresh`].
    pub(super) async fn keep_up(&self) -> Result<(), ServiceError> {
        let announced = self.0.store.announced();
        if self.0.announced.load(Ordering::SeqCst) != announced {
            self.refresh().await?;
            // Only now: a request that comes meanwhile must wait for it, too.
            self.0.announced.store(announced, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Reads anew what another process has changed, an admin command for example.
    ///
    /// # Errors
    /// [`ServiceError::Store`] and [`ServiceError::StoredPolicy`].
    pub async fn refresh(&self) -> Result<(), ServiceError> {
        let mut outdated = self.0.outdated.lock().await;
        // Once said, it is said no more: what fails now must be tried again.
        *outdated |= self.0.store.changed_elsewhere().await?;
        if *outdated {
            self.0.devices.clear();
            self.load_policy().await?;
            self.load_exceptions().await?;
            self.load_tree().await?;
            *outdated = false;
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
