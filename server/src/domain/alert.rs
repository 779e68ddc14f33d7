//! Alerts: the cases that the security team works on. One for each device, kind, rule and app.
//!
//! An alert opens when a condition holds, resolves when it does not, and reopens by itself when it
//! holds again; it counts how often. People acknowledge and snooze, which only time and the
//! condition itself undo.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, DeviceId, RuleId};
use offchannel_shared::policy::Severity;
use serde::{Deserialize, Serialize};

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
    /// Two machines use one device's key.
    DeviceCloned,
    /// The agent refuses the policy that it is offered.
    PolicyRefused,
    /// A kind of place in which apps leave traces cannot be looked at.
    SourceUnreadable,
    /// The device's clock differs too much from the collector's.
    ClockOff,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::ProhibitedApp,
        Self::UnreviewedApp,
        Self::RequiredAppMissing,
        Self::DeviceSilent,
        Self::AgentUninstalled,
        Self::AgentStopped,
        Self::AgentTampered,
        Self::DeviceCloned,
        Self::PolicyRefused,
        Self::SourceUnreadable,
        Self::ClockOff,
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
            Self::PolicyRefused => "policy-refused",
            Self::SourceUnreadable => "source-unreadable",
            Self::ClockOff => "clock-off",
        }
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

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// The device.
    pub device: DeviceId,
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
    /// Until when it is put off, if it is.
    pub snoozed_until: Option<Timestamp>,
    /// When it opened for the first time.
    pub opened_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// Why it was resolved, if it is.
    pub cause: Option<Cause>,
    /// How often it came back.
    pub reopened: u32,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertAction {
    /// It opened for the first time.
    Opened,
    /// It came back.
    Reopened,
    /// It was resolved.
    Resolved,
}

impl AlertAction {
    /// All actions.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Reopened, Self::Resolved];

    /// The name used in histories and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Resolved => "resolved",
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
    /// Who did it; `collector` where nobody but the facts did.
    pub actor: String,
    /// Why it was resolved, if it was.
    pub cause: Option<Cause>,
}

/// The actor of what the facts did.
pub const COLLECTOR: &str = "collector";

impl Alert {
    /// Whether it needs, or may need, somebody's attention.
    pub fn is_active(&self) -> bool {
        self.state != AlertState::Resolved
    }

    /// The condition holds again: a resolved alert reopens, any other stays as it is.
    pub fn reopen(&mut self, at: Timestamp) -> Option<AlertEvent> {
        if self.is_active() {
            return None;
        }
        self.state = AlertState::Open;
        self.cause = None;
        self.reopened = self.reopened.saturating_add(1);
        self.changed_at = at;
        Some(self.event(AlertAction::Reopened, at))
    }

    /// The condition holds no longer, or is accepted.
    pub fn resolve(&mut self, cause: Cause, at: Timestamp) -> Option<AlertEvent> {
        if !self.is_active() {
            return None;
        }
        self.state = AlertState::Resolved;
        self.snoozed_until = None;
        self.cause = Some(cause);
        self.changed_at = at;
        Some(self.event(AlertAction::Resolved, at))
    }

    /// The history entry of an action that the facts caused.
    pub fn event(&self, action: AlertAction, at: Timestamp) -> AlertEvent {
        AlertEvent { alert: self.id.clone(), at, action, actor: COLLECTOR.to_owned(), cause: self.cause }
    }
}
