//! The traits of what people set up and decide, each method in one or two lines: exceptions, the ledger, policies, tokens,
//! units.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::{ApiTokenId, DeviceId, DraftId, ExceptionId, TokenId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::policy::Party;
use rusqlite::Connection;

use super::{
    SqliteStore, api_tokens, devices, exceptions, ledger, placements, policies, policy_drafts, tokens, units,
};
use crate::domain::api_token::ApiToken;
use crate::domain::case::Case;
use crate::domain::exception::{Covers, Exception, ExceptionError, ExceptionEvent};
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::domain::ledger::{Counted, Entry, Ruling, Tally, Whose};
use crate::domain::placement::{DeviceKey, Placing};
use crate::domain::policy_draft::Draft;
use crate::domain::published::PolicyVersion;
use crate::domain::surge::Group;
use crate::domain::token::Token;
use crate::domain::tree::Organisation;
use crate::store::{
    ApiTokenStore, Assign, ChangeException, DeviceSummary, ExceptionStore, Followed, LedgerFilter,
    LedgerStore, PlanRefused, PolicyStore, Reorganise, StoreError, TokenStore, UnitStore,
};

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

    async fn exceptions_in_force(&self, known: u64) -> Result<Option<InForceExceptions>, StoreError> {
        self.readers.read("read the exceptions in force", move |c| exceptions::in_force(c, known)).await
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

    async fn breach_groups(&self, since: Timestamp) -> Result<Vec<Group>, StoreError> {
        self.readers.read("count breaches", move |c| ledger::groups(c, since)).await
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
