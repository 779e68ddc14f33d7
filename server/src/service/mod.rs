//! What the collector does, one use case after another: load, decide with `domain`, one store call.
//!
//! Routes, jobs and admin commands all come here; none of them touches the store for a decision.

mod agents;
mod alerts;
mod api_tokens;
mod background;
mod cache;
mod devices;
mod exceptions;
mod ledger;
mod placement;
mod policies;
mod policy_life;
mod policy_whatif;
mod sheet;
mod stats;
mod subjects;
mod tokens;
mod units;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::policy::Problems;
use offchannel_shared::signing::SigningKey;
use tokio::sync::{Mutex, watch};

pub use alerts::{Acted, AlertView};
pub use api_tokens::{ApiTokenRequest, NewApiToken};
pub use cache::DeviceKey;
pub use devices::DeviceView;
pub use exceptions::{ExceptionChange, ExceptionView};
pub use placement::DeviceEdit;
pub use policy_life::{PublishRequest, Published, Words};
pub use policy_whatif::{EFFECTS_MAX, Unseen, WhatIf};
pub use sheet::{FILE_MAX, is_utf_16};
pub use stats::ServiceStats;
pub use tokens::{NewToken, TokenRequest};
pub use units::{UnitEdit, UnitsImported};

use crate::clock::Clock;
use crate::domain::api_token::ApiTokenError;
use crate::domain::exception::ExceptionError;
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::domain::ingest::Refusal;
use crate::domain::ledger::RulingError;
use crate::domain::policy_draft::ApprovalError;
use crate::domain::published::{InForce, Publication};
use crate::domain::route::Routes;
use crate::domain::token::TokenError;
use crate::domain::tree::Tree;
use crate::random::RandomError;
use crate::store::{PlanRefused, Store, StoreError};

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The request about a device is refused.
    #[error("the request is refused")]
    Refused(#[source] Refusal),
    /// What is wanted of an exception makes no sense.
    #[error(transparent)]
    Exception(#[from] ExceptionError),
    /// A decision about breaches says too little.
    #[error(transparent)]
    Ruling(#[from] RulingError),
    /// The enrolment token may not be used.
    #[error("the enrolment is refused")]
    Token(#[source] TokenError),
    /// There is no such device.
    #[error("the device is not enrolled here: enrol it again with a new token")]
    DeviceUnknown,
    /// Nothing was published yet.
    #[error("no policy is in force: publish one with `offchannel-server policy publish --file FILE`")]
    NoPolicy,
    /// A policy file cannot be used.
    #[error("the policy cannot be used")]
    Policy(#[source] Problems),
    /// A published policy does not read any more.
    #[error("policy version {version} in the database cannot be used by this program")]
    StoredPolicy {
        /// The version.
        version: u64,
        /// What is wrong with it.
        #[source]
        source: Problems,
    },
    /// A policy is not published as proposed.
    #[error("the policy is not published")]
    Approval(#[source] ApprovalError),
    /// A program of the organisation may not do what it asked.
    #[error("the request is refused")]
    ApiToken(#[source] ApiTokenError),
    /// A task that judges devices ended badly: a fault of this program.
    #[error("devices could not be judged to the end")]
    Judging(#[source] tokio::task::JoinError),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The organisation, or where devices belong in it, cannot be as was asked.
    #[error(transparent)]
    Plan(PlanRefused),
    /// A body of another schema.
    #[error("the body has schema {0}, this collector reads schema {known}", known = offchannel_shared::wire::SCHEMA)]
    Schema(u32),
    /// Something could not be written as JSON.
    #[error("the policy bundle cannot be written")]
    Bundle(#[source] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("no id could be made")]
    Random(#[from] RandomError),
}

/// The collector's use cases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    signing_key: SigningKey,
    routes: Arc<Routes>,
    publication: Publication,
    in_force: RwLock<Option<Arc<InForce>>>,
    exceptions: RwLock<Arc<InForceExceptions>>,
    units: RwLock<Arc<Tree>>,
    /// The units that have a surge.
    surging: RwLock<Arc<BTreeSet<UnitId>>>,
    devices: cache::DeviceCache,
    bundles: cache::BundleCache,
    seen: cache::SeenDevices,
    changed: watch::Sender<u64>,
    /// Whether another process has changed something that was not read yet. Held while it is read, so that whoever
    /// asks meanwhile waits for it.
    outdated: Mutex<bool>,
    /// How far the ledger was followed. Held for no longer than it takes to read or write it.
    followed: std::sync::Mutex<ledger::Place>,
    /// The store's announcements that were taken in.
    announced: AtomicU64,
    started_at: Timestamp,
    stats: stats::Counters,
}

impl Service {
    /// Makes the service and loads the policy in force, if there is one.
    ///
    /// # Errors
    /// [`ServiceError::Store`] and [`ServiceError::StoredPolicy`].
    pub async fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        signing_key: SigningKey,
        routes: Routes,
        publication: Publication,
    ) -> Result<Self, ServiceError> {
        let started_at = clock.now();
        let announced = AtomicU64::new(store.announced());
        let service = Self(Arc::new(Inner {
            store,
            clock,
            signing_key,
            routes: Arc::new(routes),
            publication,
            in_force: RwLock::new(None),
            exceptions: RwLock::default(),
            units: RwLock::default(),
            surging: RwLock::default(),
            devices: cache::DeviceCache::default(),
            bundles: cache::BundleCache::default(),
            seen: cache::SeenDevices::default(),
            changed: watch::Sender::new(0),
            outdated: Mutex::new(false),
            followed: std::sync::Mutex::default(),
            announced,
            started_at,
            stats: stats::Counters::default(),
        }));
        service.load_policy().await?;
        service.load_exceptions().await?;
        service.load_tree().await?;
        service.load_surges().await?;
        Ok(service)
    }

    /// The present instant by the collector's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The store, for the job that delivers.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Counts up with every change of an alert and of the organisation, and with every new policy.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// [`ServiceError::Store`] if the store does not answer, [`ServiceError::NoPolicy`].
    pub async fn ready(&self) -> Result<(), ServiceError> {
        self.0.store.ping().await?;
        self.in_force().map(|_| ())
    }

    /// Counters since the start.
    pub fn stats(&self) -> ServiceStats {
        self.0.stats.read(self.0.devices.len(), self.exceptions_in_force().count(self.now()))
    }

    fn nudge(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn not_found(id: &DeviceId) -> ServiceError {
        ServiceError::Store(StoreError::NotFound { what: "device", id: id.to_string() })
    }
}
