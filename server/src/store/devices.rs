//! Devices and the decisions about them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::DeviceId;
use offchannel_shared::inventory::Sighting;

use super::StoreError;
use crate::domain::case::{Case, Decision};
use crate::domain::device::Device;
use crate::domain::finding::Finding;
use crate::domain::ingest::Refusal;
use crate::domain::token::{Presented, TokenError};

/// Decides about a device. May be called more than once, where a transaction has to be repeated;
/// only the last outcome counts. Must not block.
#[derive(Clone)]
pub struct Decide(pub Arc<dyn Fn(Case) -> Result<Option<Decision>, Refusal> + Send + Sync>);

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decide(..)")
    }
}

/// How a decision went.
#[derive(Debug, Clone, PartialEq)]
pub enum DecideOutcome {
    /// Decided and on disk, if there was something to write.
    Committed(Option<Box<Decision>>),
    /// Refused; nothing was written.
    Refused(Refusal),
}

/// How an enrolment went.
#[derive(Debug, Clone, PartialEq)]
pub enum Enrolled {
    /// The device is registered. The same key may enrol again with the same token, if an answer was
    /// lost, and gets its device back without spending the token twice.
    Registered(Box<Device>),
    /// The token may not be used.
    Refused(TokenError),
}

/// That a device was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The device.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
    /// Version of its agent.
    pub agent_version: String,
    /// The policy version in force at the agent.
    pub policy_version: u64,
}

/// A device in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSummary {
    /// The device.
    pub device: Device,
    /// Its findings that have not ended.
    pub findings: Vec<Finding>,
}

/// A sighting with its interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingInterval {
    /// What was found.
    pub sighting: Sighting,
    /// Since when.
    pub started_at: Timestamp,
    /// Until when, if it is gone.
    pub ended_at: Option<Timestamp>,
}

/// What was found on a device and what was wrong with it, over all time, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What was found.
    pub sightings: Vec<SightingInterval>,
    /// What was wrong.
    pub findings: Vec<Finding>,
}

/// Devices.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Registers a device and spends the token, together or not at all.
    ///
    /// `device.placement` and `device.token` are replaced by the token's. A key that is known already and comes
    /// with another token keeps its device and what people have said of it; otherwise it is placed anew, and it is due at
    /// `now`. A retired one is refused.
    ///
    /// # Errors
    /// [`StoreError`]; a token that may not be used is an outcome, not an error.
    async fn enrol(
        &self,
        presented: Presented,
        device: Device,
        now: Timestamp,
    ) -> Result<Enrolled, StoreError>;

    /// The device with this id, retired or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn device(&self, id: &DeviceId) -> Result<Option<Device>, StoreError>;

    /// The device with its open findings and all its alerts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn case(&self, id: &DeviceId) -> Result<Option<Case>, StoreError>;

    /// Loads a device's case, lets `decide` decide and commits the outcome, alone or together with
    /// other decisions; no other decision about the device comes between. Where a device belongs is not decided
    /// here, but by [`super::UnitStore`]. One that gives the device the key of
    /// another device is refused as [`Refusal::KeyTaken`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others; nothing is written then.
    async fn decide(&self, id: &DeviceId, decide: Decide) -> Result<DecideOutcome, StoreError>;

    /// Devices sorted by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn devices(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<DeviceSummary>, StoreError>;

    /// The intervals of a device's sightings and findings; empty if there is no such device.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn history(&self, id: &DeviceId) -> Result<History, StoreError>;

    /// The findings that have not ended whose code this is.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn findings_with_code(&self, code: ExceptionCode) -> Result<Vec<Finding>, StoreError>;

    /// Active devices that are to be judged again by `now`, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DeviceId>, StoreError>;

    /// Makes every active device due at `at`, unless it is due before.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn evaluate_all(&self, at: Timestamp) -> Result<(), StoreError>;

    /// Writes when devices were heard of, never back in time.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn seen(&self, seen: Vec<Seen>) -> Result<(), StoreError>;
}
