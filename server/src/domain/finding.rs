//! Findings: device, rule and app for which the policy is not met.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AppId, DeviceId, ExceptionId, FindingId, RuleId};
use offchannel_shared::policy::{Breach, Severity};
use serde::{Deserialize, Serialize};

/// A finding with its interval; kept when it has ended, so that any past instant can be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// The device.
    pub device: DeviceId,
    /// The rule that is not met.
    pub rule: RuleId,
    /// The app that it is about.
    pub app: AppId,
    /// Which duty is not met.
    pub kind: FindingKind,
    /// How grave it is.
    pub severity: Severity,
    /// The policy version under which it was last judged.
    pub policy_version: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it counts, or counted, as a breach: its start and the rule's grace.
    pub breach_at: Timestamp,
    /// The exception that accepts it, if any.
    pub exception: Option<ExceptionId>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
}

/// Which duty a finding says is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A prohibited app is there.
    ProhibitedApp,
    /// A messaging app is there that no rule names.
    UnreviewedApp,
    /// None of the required apps is there.
    RequiredAppMissing,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::ProhibitedApp, Self::UnreviewedApp, Self::RequiredAppMissing];

    /// The name used in lists, alerts and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProhibitedApp => "prohibited-app",
            Self::UnreviewedApp => "unreviewed-app",
            Self::RequiredAppMissing => "required-app-missing",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<Breach> for FindingKind {
    fn from(breach: Breach) -> Self {
        match breach {
            Breach::Prohibited => Self::ProhibitedApp,
            Breach::Unreviewed => Self::UnreviewedApp,
            Breach::RequiredMissing => Self::RequiredAppMissing,
        }
    }
}
