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
mod placements;
mod policies;
mod policy_drafts;
mod readers;
mod sightings;
mod tokens;
mod units;
mod writer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::{
    AlertId, ApiTokenId, ChannelName, DeliveryId, DeviceId, DraftId, ExceptionId, TokenId, UnitId,
};
use offchannel_shared::label::Label;
use offchannel_shared::policy::Party;
use rusqlite::Connection;

use self::announce::Announcements;
use self::readers::Readers;
use self::writer::Writer;
use super::{
    AlertFilter, AlertRecord, AlertStore, ApiTokenStore, Assign, ChangeException, Decide, DecideOutcome,
    DeliveryFilter, DeliveryStore, DeviceStore, DeviceSummary, Enrolled, ExceptionStore, Followed, History,
    LedgerFilter, LedgerStore, PlanRefused, PolicyStore, RecordedEvent, Reorganise, Seen, Store, StoreError,
    TokenStore, UnitStore,
};
use crate::domain::alert::AlertEvent;
use crate::domain::api_token::ApiToken;
use crate::domain::case::Case;
use crate::domain::delivery::Delivery;
use crate::domain::device::Device;
use crate::domain::exception::{Covers, Exception, ExceptionError, ExceptionEvent, InForceExceptions};
use crate::domain::finding::Finding;
use crate::domain::ledger::{Counted, Entry, Ruling, Tally, Whose};
use crate::domain::placement::{DeviceKey, Placing};
use crate::domain::policy_draft::Draft;
use crate::domain::published::PolicyVersion;
use crate::domain::token::{Presented, Token};
use crate::domain::tree::Organisation;

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

#[async_trait]
impl ExceptionStore for SqliteStore {
    async fn create_exception(&self, exception: Exception, event: ExceptionEvent) -> Result<(), StoreError> {
        self.writer.write("store an exception", move |c| exceptions::create(c, &exception, &event)).await
    }

    async fn change_exception(
        &self,
        id: &ExceptionId,
        change: ChangeException,
        now: Timestamp,
    ) -> Result<Result<Exception, ExceptionError>, StoreError> {
        let id = id.clone();
        self.writer.write("change an exception", move |c| exceptions::change(c, &id, &change, now)).await
    }

    async fn covered_devices(&self, covers: &Covers) -> Result<u64, StoreError> {
        let covers = covers.clone();
        self.readers.read("count devices", move |c| exceptions::count_devices(c, &covers)).await
    }

    async fn exceptions(&self) -> Result<Vec<Exception>, StoreError> {
        self.readers.read("list exceptions", exceptions::list).await
    }

    async fn exception(
        &self,
        id: &ExceptionId,
    ) -> Result<Option<(Exception, Vec<ExceptionEvent>)>, StoreError> {
        let id = id.clone();
        self.readers.read("read an exception", move |c| exceptions::load(c, &id)).await
    }

    async fn exceptions_in_force(&self) -> Result<InForceExceptions, StoreError> {
        self.readers.read("read the exceptions in force", exceptions::in_force).await
    }
}

#[async_trait]
impl LedgerStore for SqliteStore {
    async fn ledger(&self, filter: LedgerFilter) -> Result<Vec<Entry>, StoreError> {
        self.readers.read("read the ledger", move |c| ledger::list(c, &filter)).await
    }

    async fn follow_ledger(&self, after: u64, limit: u32) -> Result<Followed, StoreError> {
        self.readers.read("follow the ledger", move |c| ledger::follow(c, after, limit)).await
    }

    async fn count_breaches(&self, counted: Counted) -> Result<u64, StoreError> {
        self.readers.read("count breaches", move |c| ledger::count(c, &counted)).await
    }

    async fn tally(&self, party: Party, filter: LedgerFilter) -> Result<Vec<Tally>, StoreError> {
        self.readers.read("sum up the ledger", move |c| ledger::tally(c, party, &filter)).await
    }

    async fn rule(&self, ruling: Ruling) -> Result<(), StoreError> {
        self.writer.write("keep a decision", move |c| ledger::rule(c, &ruling)).await
    }

    async fn rulings(&self, about: Option<Whose>) -> Result<Vec<Ruling>, StoreError> {
        self.readers.read("list decisions", move |c| ledger::rulings(c, about.as_ref())).await
    }
}

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn publish(
        &self,
        policy: PolicyVersion,
        expected: Option<u64>,
    ) -> Result<PolicyVersion, StoreError> {
        self.writer.write("publish a policy", move |c| policies::publish(c, policy, expected)).await
    }

    async fn policy(&self, version: Option<u64>) -> Result<Option<PolicyVersion>, StoreError> {
        self.readers.read("read a policy", move |c| policies::load(c, version)).await
    }

    async fn policies(&self) -> Result<Vec<PolicyVersion>, StoreError> {
        self.readers.read("list policies", policies::list).await
    }

    async fn publish_draft(
        &self,
        draft: &DraftId,
        policy: PolicyVersion,
        expected: Option<u64>,
    ) -> Result<PolicyVersion, StoreError> {
        let draft = draft.clone();
        let publish = move |c: &Connection| policies::publish_draft(c, &draft, policy, expected);
        self.writer.write("publish a policy", publish).await
    }

    async fn policy_in_force(&self) -> Result<Option<PolicyVersion>, StoreError> {
        self.readers.read("read the policy in force", policies::load_in_force).await
    }

    async fn take_force(&self, now: Timestamp) -> Result<Option<PolicyVersion>, StoreError> {
        // Nearly always there is nothing to write.
        let waiting = move |c: &Connection| policies::waiting(c, now);
        if self.readers.read("look for a policy whose time has come", waiting).await?.is_none() {
            return Ok(None);
        }
        self.writer.write("put a policy in force", move |c| policies::take_force(c, now)).await
    }

    async fn cancel_policy(
        &self,
        version: u64,
        by: &str,
        now: Timestamp,
    ) -> Result<(PolicyVersion, bool), StoreError> {
        let by = by.to_owned();
        self.writer.write("cancel a policy", move |c| policies::cancel(c, version, &by, now)).await
    }

    async fn save_draft(&self, draft: Draft) -> Result<(), StoreError> {
        self.writer.write("save a draft", move |c| policy_drafts::save(c, &draft)).await
    }

    async fn drafts(&self) -> Result<Vec<Draft>, StoreError> {
        self.readers.read("list drafts", policy_drafts::list).await
    }

    async fn draft(&self, id: &DraftId) -> Result<Option<Draft>, StoreError> {
        let id = id.clone();
        self.readers.read("read a draft", move |c| policy_drafts::load(c, &id)).await
    }

    async fn delete_draft(&self, id: &DraftId) -> Result<Draft, StoreError> {
        let id = id.clone();
        self.writer.write("delete a draft", move |c| policy_drafts::delete(c, &id)).await
    }

    async fn cases(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<Case>, StoreError> {
        let after = after.cloned();
        self.readers.read("read devices", move |c| policies::cases(c, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl ApiTokenStore for SqliteStore {
    async fn create_api_token(&self, token: ApiToken) -> Result<(), StoreError> {
        self.writer.write("store an API token", move |c| api_tokens::create(c, &token)).await
    }

    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.readers.read("list API tokens", api_tokens::list).await
    }

    async fn api_token(&self, id: &ApiTokenId) -> Result<Option<ApiToken>, StoreError> {
        let id = id.clone();
        self.readers.read("read an API token", move |c| api_tokens::load(c, &id)).await
    }

    async fn revoke_api_token(&self, id: &ApiTokenId, now: Timestamp) -> Result<ApiToken, StoreError> {
        let id = id.clone();
        self.writer.write("revoke an API token", move |c| api_tokens::revoke(c, &id, now)).await
    }
}

#[async_trait]
impl TokenStore for SqliteStore {
    async fn create_token(&self, token: Token) -> Result<(), StoreError> {
        self.writer.write("store a token", move |c| tokens::create(c, &token)).await
    }

    async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.readers.read("list tokens", tokens::list).await
    }

    async fn revoke_token(&self, id: &TokenId, now: Timestamp) -> Result<Token, StoreError> {
        let id = id.clone();
        self.writer.write("revoke a token", move |c| tokens::revoke(c, &id, now)).await
    }
}

#[async_trait]
impl UnitStore for SqliteStore {
    async fn organisation(&self, now: Timestamp) -> Result<Organisation, StoreError> {
        self.readers.read("read the units", move |c| units::organisation(c, now)).await
    }

    async fn reorganise(
        &self,
        change: Reorganise,
        now: Timestamp,
    ) -> Result<Result<Organisation, PlanRefused>, StoreError> {
        self.writer.write("change the units", move |c| units::reorganise(c, &change, now)).await
    }

    async fn placing(&self, devices: Vec<DeviceKey>) -> Result<Placing, StoreError> {
        self.readers.read("look for devices by name", move |c| placements::placing(c, &devices)).await
    }

    async fn assign(
        &self,
        devices: Vec<DeviceKey>,
        decide: Assign,
        now: Timestamp,
    ) -> Result<Result<Placing, PlanRefused>, StoreError> {
        self.writer.write("place devices", move |c| placements::assign(c, &devices, &decide, now)).await
    }

    async fn labels(&self) -> Result<BTreeSet<Label>, StoreError> {
        self.readers.read("read the labels", placements::labels).await
    }

    async fn devices_in(
        &self,
        unit: &UnitId,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Result<Vec<DeviceSummary>, StoreError> {
        let (unit, after) = (unit.clone(), after.cloned());
        let list = move |c: &Connection| devices::list(c, Some(&unit), after.as_ref(), limit);
        self.readers.read("list the devices of a unit", list).await
    }
}
