//! A device as the collector knows it, and its status at an instant.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::device::{DeviceFacts, Placement};
use offchannel_shared::digest::Digest;
use offchannel_shared::ids::{DeviceId, Epoch, TokenId};
use offchannel_shared::inventory::Inventory;
use offchannel_shared::signing::PublicKey;
use offchannel_shared::span::Span;
use offchannel_shared::wire::GoodbyeReason;
use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// How many earlier epochs are remembered, to tell a clone from a state file that was made anew.
pub const PAST_EPOCHS: usize = 8;

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// The key that its requests are signed with.
    pub public_key: PublicKey,
    /// The key that it had before, if its key was ever replaced.
    pub replaced_key: Option<ReplacedKey>,
    /// What it says of itself.
    pub facts: DeviceFacts,
    /// What the organisation says of it.
    pub placement: Placement,
    /// The token that it was enrolled with.
    pub token: TokenId,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// Since when it is retired, if it is: its requests are refused, its history is kept.
    pub retired_at: Option<Timestamp>,
    /// Version of its agent.
    pub agent_version: String,
    /// The policy version in force at the agent.
    pub policy_version: u64,
    /// When it was last heard of. May lag by the interval at which such times are written.
    pub last_seen: Timestamp,
    /// Why the agent said goodbye, if that was the last that it said.
    pub goodbye: Option<Goodbye>,
    /// The last report, if any.
    pub report: Option<LastReport>,
    /// Epochs that ended, oldest first, at most [`PAST_EPOCHS`].
    pub past_epochs: Vec<Epoch>,
    /// When the device must be judged again although nothing is heard of it.
    pub evaluate_at: Option<Timestamp>,
}

/// A key that a device had, and that is never accepted again. Only the last one is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedKey {
    /// The key.
    pub public_key: PublicKey,
    /// When another one took its place.
    pub at: Timestamp,
}

/// A goodbye.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why the agent stopped.
    pub reason: GoodbyeReason,
    /// When it said so.
    pub at: Timestamp,
    /// Whether the device was known to stay up without it: the agent was stopped and the device was not going down.
    pub stays_up: bool,
}

/// The last report of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct LastReport {
    /// The life of the agent's state file.
    pub epoch: Epoch,
    /// The revision.
    pub revision: u64,
    /// The inventory's digest.
    pub digest: Digest,
    /// When the collector committed it.
    pub received_at: Timestamp,
    /// When it was true, by the device's clock.
    pub observed_at: Timestamp,
    /// What was found.
    pub inventory: Inventory,
}

/// How a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The policy is met.
    Compliant,
    /// At least one finding counts as a breach.
    Breach,
    /// There are findings, but the time to put them right is not over.
    Grace,
    /// There are findings, all of them accepted for a time.
    Exempt,
    /// Not heard of for longer than the policy allows.
    Stale,
    /// Enrolled, nothing reported yet.
    Unknown,
}

impl Status {
    /// The name used in lists and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::Breach => "breach",
            Self::Grace => "grace",
            Self::Exempt => "exempt",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Device {
    /// Since when it has had its key.
    pub fn key_since(&self) -> Timestamp {
        self.replaced_key.as_ref().map_or(self.enrolled_at, |replaced| replaced.at)
    }

    /// Whether two machines report under its name, turn by turn: the epoch of the last report is one that had ended.
    pub fn takes_turns(&self) -> bool {
        self.report.as_ref().is_some_and(|report| self.past_epochs.contains(&report.epoch))
    }

    /// How the device stands at an instant, given its open findings.
    pub fn status(&self, findings: &[Finding], stale_after: Span, now: Timestamp) -> Status {
        if self.report.is_none() {
            return Status::Unknown;
        }
        if stale_after.after(self.last_seen) <= now {
            return Status::Stale;
        }
        let open = || findings.iter().filter(|finding| finding.ended_at.is_none());
        if open().any(|finding| finding.exception.is_none() && finding.breach_at <= now) {
            Status::Breach
        } else if open().any(|finding| finding.exception.is_none()) {
            Status::Grace
        } else if open().next().is_some() {
            Status::Exempt
        } else {
            Status::Compliant
        }
    }
}
