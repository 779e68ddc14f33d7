//! Alerts: the cases that the security team works on. One for each device, kind, rule and app; one for each unit, and one for each exception.
//!
//! An alert opens when a condition holds, resolves when it does not, and reopens by itself when it
//! holds again; it counts how often. `life` is what the facts and time do to an alert, `acts` what people do.

mod acts;
mod life;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, DeviceId, ExceptionId, RuleId, StepId, UnitId};
use offchannel_shared::policy::Severity;
use serde::{Deserialize, Serialize};

pub(crate) use self::acts::check_name;
pub use self::acts::{Act, ActError, NAME_MAX, SNOOZE_MAX, TEXT_MAX};
pub use self::life::Terms;

use super::finding::FindingKind;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// A prohibited app is there.
    ProhibitedApp,
    /// A messaging app is there that no rule names.
    UnreviewedApp,
    /// None of the required apps is there.
    RequiredAppMissing,
    /// The device has not been heard of for longer than the policy allows.
    DeviceSilent,
    /// The agent said that it is being removed.
    AgentUninstalled,
    /// The agent was stopped on a device that stayed up, and was not started again.
    AgentStopped,
    /// The agent says that its own files were altered or lost.
    AgentTampered,
    /// Two machines use one device's key, or a key that was replaced is used.
    DeviceCloned,
    /// The device reports from another machine than before.
    MachineChanged,
    /// The agent refuses the policy that it is offered.
    PolicyRefused,
    /// A kind of place in which apps leave traces cannot be looked at.
    SourceUnreadable,
    /// The device's clock differs too much from the collector's.
    ClockOff,
    /// There are many new breaches in a unit.
    UnitSurge,
    /// An exception is about to end.
    ExceptionEnding,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 14] = [
        Self::ProhibitedApp,
        Self::UnreviewedApp,
        Self::RequiredAppMissing,
        Self::DeviceSilent,
        Self::AgentUninstalled,
        Self::AgentStopped,
        Self::AgentTampered,
        Self::DeviceCloned,
        Self::MachineChanged,
        Self::PolicyRefused,
        Self::SourceUnreadable,
        Self::ClockOff,
        Self::UnitSurge,
        Self::ExceptionEnding,
    ];

    /// The name used in lists, webhooks and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProhibitedApp => "prohibited-app",
            Self::UnreviewedApp => "unreviewed-app",
            Self::RequiredAppMissing => "required-app-missing",
            Self::DeviceSilent => "device-silent",
            Self::AgentUninstalled => "agent-uninstalled",
            Self::AgentStopped => "agent-stopped",
            Self::AgentTampered => "agent-tampered",
            Self::DeviceCloned => "device-cloned",
            Self::MachineChanged => "machine-changed",
            Self::PolicyRefused => "policy-refused",
            Self::SourceUnreadable => "source-unreadable",
            Self::ClockOff => "clock-off",
            Self::UnitSurge => "unit-surge",
            Self::ExceptionEnding => "exception-ending",
        }
    }

    /// Whether it is about an app, and not about the device itself, a unit or an exception.
    pub const fn is_about_app(self) -> bool {
        match self {
            Self::ProhibitedApp | Self::UnreviewedApp | Self::RequiredAppMissing => true,
            Self::DeviceSilent
            | Self::AgentUninstalled
            | Self::AgentStopped
            | Self::AgentTampered
            | Self::DeviceCloned
            | Self::MachineChanged
            | Self::PolicyRefused
            | Self::SourceUnreadable
            | Self::ClockOff
            | Self::UnitSurge
            | Self::ExceptionEnding => false,
        }
    }

    /// Whether only a person can say that it is over, because no later report proves it.
    pub const fn lasts(self) -> bool {
        matches!(self, Self::DeviceCloned | Self::MachineChanged)
    }
}

impl From<FindingKind> for AlertKind {
    fn from(kind: FindingKind) -> Self {
        match kind {
            FindingKind::ProhibitedApp => Self::ProhibitedApp,
            FindingKind::UnreviewedApp => Self::UnreviewedApp,
            FindingKind::RequiredAppMissing => Self::RequiredAppMissing,
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Nobody has taken it up.
    Open,
    /// Somebody has taken it up.
    Acknowledged,
    /// Put off until an instant.
    Snoozed,
    /// Over.
    Resolved,
}

impl AlertState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Open, Self::Acknowledged, Self::Snoozed, Self::Resolved];

    /// The name used in lists, webhooks and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an alert was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// What it was about is over: the app is gone, or there, or the policy says otherwise.
    Removed,
    /// An exception accepts it.
    Exception,
    /// It was wrong.
    FalsePositive,
    /// The device was retired.
    DeviceRetired,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 4] = [Self::Removed, Self::Exception, Self::FalsePositive, Self::DeviceRetired];

    /// The name used in lists, webhooks and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Exception => "exception",
            Self::FalsePositive => "false-positive",
            Self::DeviceRetired => "device-retired",
        }
    }
}

/// What became of the business records of a chat that is not permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Records {
    /// They were copied to the records system.
    Copied,
    /// There were none.
    None,
}

impl Records {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Copied, Self::None];

    /// The name used in lists, webhooks and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an alert stands at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A device, or an app on it.
    Device(DeviceId),
    /// A unit of the organisation.
    Unit(UnitId),
    /// An exception.
    Exception(ExceptionId),
}

impl About {
    /// The device, if it is about one.
    pub const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(id) => Some(id),
            Self::Unit(_) | Self::Exception(_) => None,
        }
    }

    /// The unit, if it is about one as a whole.
    pub const fn unit(&self) -> Option<&UnitId> {
        match self {
            Self::Device(_) | Self::Exception(_) => None,
            Self::Unit(id) => Some(id),
        }
    }
}

impl From<DeviceId> for About {
    fn from(id: DeviceId) -> Self {
        Self::Device(id)
    }
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The device or the unit.
    pub about: About,
    /// What it is about.
    pub kind: AlertKind,
    /// The rule, for alerts about apps.
    pub rule: Option<RuleId>,
    /// The app, for alerts about apps.
    pub app: Option<AppId>,
    /// How grave it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// Whether what it is about is the case, as of the last judgement. One that a person resolved meanwhile stays
    /// resolved until it was not the case in between.
    pub holds: bool,
    /// Until when it is put off, if it is.
    pub snoozed_until: Option<Timestamp>,
    /// Who works on it, if anybody.
    pub assignee: Option<String>,
    /// Whether it may close only with a statement about business records.
    pub records_needed: bool,
    /// What was stated of them since it last opened, if anything.
    pub records: Option<Records>,
    /// When it opened for the first time.
    pub opened_at: Timestamp,
    /// When it opened or reopened last; from then on its age counts.
    pub active_since: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// Why it was resolved, if it is, or why it will be when business records were seen to.
    pub cause: Option<Cause>,
    /// How often it came back.
    pub reopened: u32,
    /// The steps of escalation that were taken since it last opened.
    pub escalated: BTreeSet<StepId>,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertAction {
    /// It opened for the first time.
    Opened,
    /// It came back.
    Reopened,
    /// What it is about is over, but business records are to be seen to before it can close.
    Ceased,
    /// It was resolved.
    Resolved,
    /// Somebody has taken it up.
    Acknowledged,
    /// It was put off until an instant.
    Snoozed,
    /// The time for which it was put off is over.
    Woke,
    /// It was given to somebody, or to nobody.
    Assigned,
    /// Somebody wrote something down.
    Noted,
    /// Somebody stated what became of the business records.
    Recorded,
    /// It was carried to others: it is too old, or there are too many.
    Escalated,
}

impl AlertAction {
    /// All actions.
    pub const ALL: [Self; 11] = [
        Self::Opened,
        Self::Reopened,
        Self::Ceased,
        Self::Resolved,
        Self::Acknowledged,
        Self::Snoozed,
        Self::Woke,
        Self::Assigned,
        Self::Noted,
        Self::Recorded,
        Self::Escalated,
    ];

    /// The name used in histories and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Ceased => "ceased",
            Self::Resolved => "resolved",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Woke => "woke",
            Self::Assigned => "assigned",
            Self::Noted => "noted",
            Self::Recorded => "recorded",
            Self::Escalated => "escalated",
        }
    }
}

impl fmt::Display for AlertAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One entry of an alert's history; never changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertEvent {
    /// The alert.
    pub alert: AlertId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub action: AlertAction,
    /// Who did it; `collector` where nobody but the facts and time did.
    pub actor: String,
    /// Why it was resolved, if it was, or will be.
    pub cause: Option<Cause>,
    /// Until when it was put off, if it was.
    pub until: Option<Timestamp>,
    /// What was stated of business records, if something was.
    pub records: Option<Records>,
    /// Which step of escalation was taken, if one was.
    pub step: Option<StepId>,
    /// Why that step was taken.
    pub why: Option<String>,
    /// What was said: a note, to whom it was given, to whom it was carried, what gave the device away.
    pub text: Option<String>,
}

/// The actor of what the facts and time did.
pub const COLLECTOR: &str = "collector";
