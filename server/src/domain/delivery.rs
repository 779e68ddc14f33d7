//! Deliveries: one notification on its way to one channel.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, ChannelName, DeliveryId};
use offchannel_shared::policy::Severity;
use offchannel_shared::span::Span;
use serde::{Deserialize, Serialize};

use super::alert::{AlertAction, AlertKind, AlertState, COLLECTOR, Cause};
use super::digest::InDigest;

/// Waiting times before each further attempt (Standard Webhooks' schedule); then it is dead.
pub const RETRIES: [Span; 9] = [
    Span::seconds(5),
    Span::minutes(5),
    Span::minutes(30),
    Span::minutes(2 * 60),
    Span::minutes(5 * 60),
    Span::minutes(10 * 60),
    Span::minutes(14 * 60),
    Span::minutes(20 * 60),
    Span::minutes(24 * 60),
];

/// A notification on its way to a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id, the same at every attempt.
    pub id: DeliveryId,
    /// The channel.
    pub channel: ChannelName,
    /// The alert that it is about.
    pub alert: AlertId,
    /// What is told.
    pub notification: Notification,
    /// With what it is told together, if it is not told alone.
    pub digest: Option<InDigest>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it is to be tried next.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// What went wrong at the last attempt, if something did.
    pub last_error: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// To be tried, or tried again.
    Pending,
    /// The channel took it.
    Delivered,
    /// The channel took it to pass it on; whether that went well is not told.
    Accepted,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Accepted, Self::Dead];

    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The channel took it.
    Delivered,
    /// The channel took it to pass it on; whether that goes well it does not tell.
    Accepted,
    /// As [`Attempt::Accepted`], for some of those whom it was meant for; for the others it will never work.
    InPart {
        /// What went wrong, and for whom.
        error: String,
    },
    /// It may work later; not before the time given, if any.
    Retry {
        /// What went wrong.
        error: String,
        /// What the channel asked for.
        after: Option<Span>,
    },
    /// It will never work.
    GiveUp {
        /// What went wrong.
        error: String,
    },
}

impl Delivery {
    /// Takes in how an attempt went. `jitter` is from 0 to 1 and adds up to a tenth to the wait.
    pub fn attempted(&mut self, attempt: Attempt, now: Timestamp, jitter: f64) {
        let tries = self.attempts as usize;
        self.attempts = self.attempts.saturating_add(1);
        match attempt {
            Attempt::Delivered => {
                self.state = DeliveryState::Delivered;
                self.last_error = None;
            }
            Attempt::Accepted => {
                self.state = DeliveryState::Accepted;
                self.last_error = None;
            }
            Attempt::InPart { error } => {
                self.state = DeliveryState::Accepted;
                self.last_error = Some(error);
            }
            Attempt::GiveUp { error } => {
                self.state = DeliveryState::Dead;
                self.last_error = Some(error);
            }
            Attempt::Retry { error, after } => {
                self.last_error = Some(error);
                match RETRIES.get(tries) {
                    None => self.state = DeliveryState::Dead,
                    Some(wait) => {
                        let wait = (*wait).max(after.unwrap_or_default()).as_seconds();
                        let extra = (f64::from(wait) * 0.1 * jitter.clamp(0.0, 1.0)) as u32;
                        self.due_at = Span::seconds(wait.saturating_add(extra)).after(now);
                    }
                }
            }
        }
    }
}

/// What is told of an alert, whatever the channel. Stored as it was when the alert changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// What happened.
    pub action: AlertAction,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it; `collector` where nobody but the facts and time did.
    #[serde(default = "collector")]
    pub actor: String,
    /// What was said with it: a note, a statement about records, why it was escalated, what the device gave
    /// away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The alert.
    pub alert: NotifiedAlert,
    /// The device; none where the alert is about a whole unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<NotifiedDevice>,
    /// The unit that the device is in, or that the alert is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<NotifiedUnit>,
    /// To whom it was carried, if that is what happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<NotifiedEscalation>,
    /// The app, for alerts about apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<NotifiedApp>,
    /// The rule, for alerts about apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<NotifiedRule>,
    /// Where the app was found, at most [`EVIDENCE_MAX`] places.
    pub evidence: Vec<Evidence>,
    /// What the device says is wrong with it, at most [`EVIDENCE_MAX`] parts; for alerts about that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
    /// Whether it only tries out a channel, and nothing happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

fn collector() -> String {
    COLLECTOR.to_owned()
}

/// Most places that a notification names; webhooks are to stay under 20 kB.
pub const EVIDENCE_MAX: usize = 10;

/// The alert of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// Its id.
    pub id: AlertId,
    /// What it is about.
    pub kind: AlertKind,
    /// How grave it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// When it opened for the first time.
    pub opened_at: Timestamp,
    /// Why it was resolved, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How often it came back.
    pub reopened: u32,
    /// Who works on it, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Until when it is put off, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
}

/// The unit of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedUnit {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Who is accountable for it, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where that person is written to, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_email: Option<String>,
}

/// To whom an alert was carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedEscalation {
    /// The step of the policy.
    pub step: String,
    /// To whom, in the policy's word: `analyst`, `owner`, `leadership`, ...
    pub to: String,
}

/// The device of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedDevice {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Its platform.
    pub platform: String,
    /// Its unit, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// The app of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedApp {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

/// The rule of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifiedRule {
    /// Its id.
    pub id: String,
    /// Why the organisation has it.
    pub reason: String,
    /// Names of what to use instead.
    pub alternatives: Vec<String>,
    /// The version of the policy that it stands in.
    pub policy_version: u64,
}

/// A source that could not be looked at, or a part of the agent that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Which source or part.
    pub source: String,
    /// `partial` or `failed`.
    pub health: String,
    /// Why, in the agent's words.
    pub why: String,
}

/// One place where an app was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The kind of place.
    pub source: String,
    /// The name by which the app was recognised.
    pub identifier: String,
    /// The version, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whom it belongs to.
    pub scope: String,
    /// How strong a sign it is.
    pub grade: String,
}
