//! Everything that a decision about one device reads, and everything that it writes.

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, DeliveryId, FindingId};
use offchannel_shared::inventory::Sighting;

use super::alert::{Alert, AlertEvent};
use super::delivery::Delivery;
use super::device::Device;
use super::finding::Finding;
use super::ledger::Breach;

/// What is known of a device when a decision is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The device.
    pub device: Device,
    /// Its findings that have not ended.
    pub findings: Vec<Finding>,
    /// All its alerts, also resolved ones, because those reopen.
    pub alerts: Vec<Alert>,
}

/// What a decision changes. The store writes all of it in one transaction, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The policy version that was judged by. If a newer one was published meanwhile, the store keeps the
    /// device due.
    pub policy_version: u64,
    /// The place in the history of exceptions as of which was judged; as with the policy.
    pub exceptions_version: u64,
    /// The device as it is now.
    pub device: Device,
    /// Findings that are new or changed.
    pub findings: Vec<Finding>,
    /// Alerts that are new or changed.
    pub alerts: Vec<Alert>,
    /// History entries of alerts.
    pub events: Vec<AlertEvent>,
    /// Which of them are breaches, for the ledger.
    pub breaches: Vec<Breach>,
    /// Sightings that started or ended.
    pub sightings: Vec<SightingChange>,
    /// Notifications to be delivered.
    pub deliveries: Vec<Delivery>,
}

/// A sighting that started or ended at an instant; sightings keep their intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingChange {
    /// What started or ended.
    pub sighting: Sighting,
    /// When.
    pub at: Timestamp,
    /// Whether it ended.
    pub ended: bool,
}

/// Where new ids come from: the domain has no randomness of its own.
pub trait NewIds {
    /// An id for a new finding.
    fn finding(&mut self) -> FindingId;
    /// An id for a new alert.
    fn alert(&mut self) -> AlertId;
    /// An id for a new delivery.
    fn delivery(&mut self) -> DeliveryId;
}
