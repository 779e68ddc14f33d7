//! The embedded store: one SQLite file, one writer thread that commits many commands at once, and a few
//! threads that read beside it.
//!
//! The traits are implemented here, each method in one or two lines; what a method does to the
//! tables stands in the module of its table.

mod alerts;
mod announce;
mod api_tokens;
mod columns;
mod decide;
mod deliveries;
mod devices;
mod enrol;
mod exceptions;
mod failure;
mod findings;
mod ledger;
mod migrations;
mod open;
mod organised;
mod placements;
mod policies;
mod policy_drafts;
mod readers;
mod sightings;
mod tokens;
mod units;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId, DeviceId};
use rusqlite::Connection;

use self::announce::Announcements;
use self::readers::Readers;
use self::writer::Writer;
use super::{
    AlertFilter, AlertRecord, AlertStore, Decide, DecideOutcome, DecideSubject, DeliveryFilter,
    DeliveryStore, DeviceStore, DeviceSummary, Enrolled, History, RecordedEvent, Seen, Store, StoreError,
};
use crate::domain::alert::{About, Alert, AlertEvent};
use crate::domain::case::Case;
use crate::domain::delivery::Delivery;
use crate::domain::device::Device;
use crate::domain::digest::CHANGES_MAX;
use crate::domain::finding::Finding;
use crate::domain::ingest::Refusal;
use crate::domain::subject::SubjectDecision;
use crate::domain::token::Presented;

pub use open::{OpenError, OpenOptions};

/// Most devices of which one command writes when they were heard of, so that reports come between.
const SEEN_AT_ONCE: usize = 512;

/// An open SQLite database.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    /// The writer's `PRAGMA data_version` when it was last asked for.
    data_version: AtomicI64,
    announcements: Announcements,
}

impl SqliteStore {
    /// Opens the database in this file, or makes it.
    ///
    /// # Errors
    /// [`StoreError::Open`] with an [`OpenError`] that says what to do, [`StoreError::Newer`].
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Arc<Self>, StoreError> {
        let opened = open::open(path, options)?;
        Ok(Arc::new(Self {
            data_version: AtomicI64::new(opened.data_version),
            writer: opened.writer,
            readers: opened.readers,
            announcements: opened.announcements,
        }))
    }

    /// Limits the file to so many pages of 4 KiB, until it is opened anew; returns the limit in force, which is
    /// not less than what the file has already. At the limit, writing fails with [`StoreError::Full`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn limit_pages(&self, pages: u32) -> Result<u32, StoreError> {
        let limit = move |c: &Connection| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(c.query_row(&sql, [], |row| row.get(0))?)
        };
        self.writer.write("limit its size", limit).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let answers = |c: &Connection| Ok(c.prepare_cached("SELECT 1")?.query_row([], |_| Ok(()))?);
        self.readers.read("answer", answers).await?;
        // An empty command: the writer lives, and gets the lock.
        self.writer.write("answer", |_: &Connection| Ok(())).await
    }

    async fn changed_elsewhere(&self) -> Result<bool, StoreError> {
        let version =
            self.writer.write("look for changes", |c: &Connection| Ok(open::data_version(c)?)).await?;
        Ok(self.data_version.swap(version, Ordering::SeqCst) != version)
    }

    fn announced(&self) -> u64 {
        self.announcements.length()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await?;
        self.writer.close().await
    }
}

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn enrol(
        &self,
        presented: Presented,
        device: Device,
        now: Timestamp,
    ) -> Result<Enrolled, StoreError> {
        self.writer.write("enrol a device", move |c| enrol::enrol(c, &presented, device, now)).await
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Device>, StoreError> {
        let id = id.clone();
        self.readers.read("read a device", move |c| devices::load(c, &id)).await
    }

    async fn case(&self, id: &DeviceId) -> Result<Option<Case>, StoreError> {
        let id = id.clone();
        self.readers.read("read a device's case", move |c| decide::load(c, &id)).await
    }

    async fn decide(&self, id: &DeviceId, decide: Decide) -> Result<DecideOutcome, StoreError> {
        let id = id.clone();
        self.writer.write("write a decision", move |c| decide::decide(c, &id, &decide)).await
    }

    async fn devices(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<DeviceSummary>, StoreError> {
        let after = after.cloned();
        self.readers.read("list devices", move |c| devices::list(c, None, after.as_ref(), limit)).await
    }

    async fn history(&self, id: &DeviceId) -> Result<History, StoreError> {
        let id = id.clone();
        let load = move |c: &Connection| {
            Ok(History { sightings: sightings::all(c, &id)?, findings: findings::all(c, &id)? })
        };
        self.readers.read("read a device's history", load).await
    }

    async fn findings_with_code(&self, code: ExceptionCode) -> Result<Vec<Finding>, StoreError> {
        self.readers.read("look for a finding by its code", move |c| findings::with_code(c, code)).await
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DeviceId>, StoreError> {
        self.readers.read("look for devices to judge", move |c| devices::due(c, now, limit)).await
    }

    async fn evaluate_all(&self, at: Timestamp) -> Result<(), StoreError> {
        self.writer.write("make every device due", move |c| devices::evaluate_all(c, at)).await
    }

    async fn seen(&self, mut seen: Vec<Seen>) -> Result<(), StoreError> {
        // Neighbours share pages.
        seen.sort_by(|a, b| a.device.cmp(&b.device));
        while !seen.is_empty() {
            let rest = seen.split_off(seen.len().min(SEEN_AT_ONCE));
            let part = std::mem::replace(&mut seen, rest);
            let doing = "write when devices were heard of";
            self.writer.write(doing, move |c| devices::seen(c, &part)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl AlertStore for SqliteStore {
    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<AlertRecord>, StoreError> {
        self.readers.read("list alerts", move |c| alerts::list(c, &filter)).await
    }

    async fn alert(&self, id: &AlertId) -> Result<Option<(AlertRecord, Vec<AlertEvent>)>, StoreError> {
        let id = id.clone();
        self.readers.read("read an alert", move |c| alerts::load(c, &id)).await
    }

    async fn subject_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.readers.read("read the alerts about no device", alerts::of_subjects).await
    }

    async fn decide_subject(
        &self,
        about: &About,
        decide: DecideSubject,
    ) -> Result<Result<Option<SubjectDecision>, Refusal>, StoreError> {
        let about = about.clone();
        self.writer.write("write a decision", move |c| decide::decide_subject(c, about, &decide)).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<Vec<RecordedEvent>, StoreError> {
        self.readers.read("read the history of alerts", move |c| alerts::events(c, after, limit)).await
    }
}

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn claim_deliveries(
        &self,
        channels: &[ChannelName],
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let claim =
            deliveries::Claim { channels: channels.to_vec(), worker: worker.to_owned(), now, until, limit };
        self.writer.write("claim deliveries", move |c| deliveries::claim(c, &claim)).await
    }

    async fn claim_digest(
        &self,
        channels: &[ChannelName],
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = CHANGES_MAX;
        let claim =
            deliveries::Claim { channels: channels.to_vec(), worker: worker.to_owned(), now, until, limit };
        self.writer.write("claim a digest", move |c| deliveries::claim_digest(c, &claim)).await
    }

    async fn finish_deliveries(&self, all: Vec<Delivery>, worker: &str) -> Result<bool, StoreError> {
        let worker = worker.to_owned();
        let finish = move |c: &Connection| {
            let mut held = true;
            for delivery in &all {
                held &= deliveries::finish(c, delivery, &worker)?;
            }
            Ok(held)
        };
        self.writer.write("write how a digest went", finish).await
    }

    async fn finish_delivery(&self, delivery: Delivery, worker: &str) -> Result<bool, StoreError> {
        let worker = worker.to_owned();
        self.writer
            .write("write how a delivery went", move |c| deliveries::finish(c, &delivery, &worker))
            .await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let id = id.clone();
        self.readers.read("read a delivery", move |c| deliveries::load(c, &id)).await
    }

    async fn retry_delivery(&self, id: &DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        let id = id.clone();
        self.writer.write("retry a delivery", move |c| deliveries::retry(c, &id, now)).await
    }

    async fn release_deliveries(&self) -> Result<u64, StoreError> {
        self.writer.write("release deliveries", deliveries::release).await
    }

    async fn retry_deliveries(
        &self,
        channel: Option<ChannelName>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let retry = move |c: &Connection| deliveries::retry_all(c, channel.as_ref(), now);
        self.writer.write("retry deliveries", retry).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.readers.read("list deliveries", move |c| deliveries::list(c, &filter)).await
    }
}
