//! Alerts and their history. They are written by [`super::DeviceStore::decide`].

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use offchannel_shared::ids::{AlertId, AppId, DeviceId, RuleId, UnitId};
use offchannel_shared::policy::Severity;

use super::StoreError;
use crate::domain::alert::{About, Alert, AlertEvent, AlertKind, AlertState};
use crate::domain::ingest::Refusal;
use crate::domain::subject::{SubjectCase, SubjectDecision};

/// Which alerts are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Only in these states; in all if empty.
    pub states: Vec<AlertState>,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only of devices that are in this unit or below it.
    pub unit: Option<UnitId>,
    /// Only of these kinds; of all if empty.
    pub kinds: Vec<AlertKind>,
    /// Only those that are at least so grave.
    pub severity: Option<Severity>,
    /// Only about this app.
    pub app: Option<AppId>,
    /// Only of this rule.
    pub rule: Option<RuleId>,
    /// Only those that this person works on.
    pub assignee: Option<String>,
    /// At most so many; 0 for all.
    pub limit: u32,
}

/// An alert in a list, with what a reader needs to place it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRecord {
    /// The alert.
    pub alert: Alert,
    /// The device's host name, if it is about a device.
    pub hostname: Option<String>,
}

/// A history entry with its place in the whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Counts up over all alerts in the order of commits; has gaps.
    pub sequence: u64,
    /// What happened.
    pub event: AlertEvent,
}

/// Decides about a subject that is no device. May be called more than once, where a transaction has to be repeated; only the last outcome counts.
#[derive(Clone)]
pub struct DecideSubject(pub Arc<SubjectJudge>);

/// What decides about it.
type SubjectJudge = dyn Fn(SubjectCase) -> Result<Option<SubjectDecision>, Refusal> + Send + Sync;

impl fmt::Debug for DecideSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecideSubject(..)")
    }
}

/// Alerts.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Alerts, the last changed first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn alerts(&self, filter: AlertFilter) -> Result<Vec<AlertRecord>, StoreError>;

    /// All alerts about units and exceptions.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn subject_alerts(&self) -> Result<Vec<Alert>, StoreError>;

    /// Loads the case of a unit or an exception, lets `decide` decide and commits the outcome; no other decision about it comes
    /// between. That the decision is refused is an outcome, not an error.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn decide_subject(
        &self,
        about: &About,
        decide: DecideSubject,
    ) -> Result<Result<Option<SubjectDecision>, Refusal>, StoreError>;

    /// One alert with its history, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn alert(&self, id: &AlertId) -> Result<Option<(AlertRecord, Vec<AlertEvent>)>, StoreError>;

    /// The history of all alerts after a place in it, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn events(&self, after: u64, limit: u32) -> Result<Vec<RecordedEvent>, StoreError>;
}
