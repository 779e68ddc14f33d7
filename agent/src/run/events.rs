//! What goes into the core and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use offchannel_shared::catalogue::Catalogue;
use offchannel_shared::device::{DeviceFacts, Platform};
use offchannel_shared::inventory::Inventory;
use offchannel_shared::wire::ReportRequest;

use crate::watch::{Coverage, Sources};

/// An instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The device's wall clock, for what is told.
    pub wall: Timestamp,
    /// Time since the start, for what is scheduled.
    pub mono: Duration,
}

/// Random values for one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance {
    /// For jitter.
    pub number: u64,
    /// For an id.
    pub id: [u8; 16],
}

/// What does not change while the agent runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is scanned.
    pub platform: Platform,
    /// Time between two safety scans.
    pub safety_interval: Duration,
    /// Time between two replacements of the device's key; never, if not given.
    pub rotate_every: Option<Duration>,
    /// Whether the identity was made on another machine.
    pub copied: bool,
    /// What is not in order with the identity.
    pub notes: Notes,
    /// Whether the first check-in waits its turn among all devices.
    pub splay: bool,
    /// Seconds to the first check-in, if the collector has just said so at enrolment.
    pub first_check_in: Option<u32>,
    /// Whether the record differs from what is on disk, because of what was met at the start.
    pub unsaved: bool,
}

/// What is not in order with the identity, for its source health.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// As long as it is this identity on this machine.
    pub identity: Option<String>,
    /// As long as it is this key.
    pub key: Option<String>,
}

/// What to scan.
#[derive(Debug, Clone)]
pub struct ScanOrder {
    /// Only these sources; all if not given.
    pub only: Option<Sources>,
    /// Whether to set up watching first.
    pub replan: bool,
    /// Whether to forget what was cached.
    pub forget: bool,
    /// What to recognise by.
    pub catalogue: Arc<Catalogue>,
}

/// What a scan gave.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// Everything that was found.
    pub inventory: Inventory,
    /// What the device says of itself.
    pub facts: DeviceFacts,
    /// What watching does not cover, if it was set up.
    pub coverage: Option<Coverage>,
    /// When the scan began, by the device's clock.
    pub at: Timestamp,
}

/// A request that is under way.
#[derive(Debug, Clone)]
pub(super) enum InFlight {
    CheckIn,
    Rotate,
    Enrol,
    Report(Box<SentReport>),
}

/// What an acknowledgement of a report covers.
#[derive(Debug, Clone)]
pub(super) struct SentReport {
    pub(super) request: ReportRequest,
    /// How many of the transitions that it carries fell off the record's front since.
    pub(super) dropped: u64,
}
