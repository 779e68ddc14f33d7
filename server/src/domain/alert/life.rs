//! What the facts and time do to an alert.

use std::collections::BTreeSet;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, RuleId};
use offchannel_shared::policy::{Severity, Step, When};

use super::{About, Alert, AlertAction, AlertEvent, AlertKind, AlertState, COLLECTOR, Cause};

/// How a condition that an alert stands for is to be dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How grave it is.
    pub severity: Severity,
    /// Whether the alert may close only with a statement about business records.
    pub records_needed: bool,
}

impl Alert {
    /// A new alert about what has come to hold.
    pub fn open(
        id: AlertId,
        about: impl Into<About>,
        (kind, rule, app): (AlertKind, Option<RuleId>, Option<AppId>),
        terms: Terms,
        at: Timestamp,
    ) -> (Self, AlertEvent) {
        let alert = Self {
            id,
            about: about.into(),
            kind,
            rule,
            app,
            severity: terms.severity,
            state: AlertState::Open,
            holds: true,
            snoozed_until: None,
            assignee: None,
            records_needed: terms.records_needed,
            records: None,
            opened_at: at,
            active_since: at,
            changed_at: at,
            cause: None,
            reopened: 0,
            escalated: BTreeSet::new(),
        };
        let event = alert.event(AlertAction::Opened, at);
        (alert, event)
    }

    /// Whether it needs, or may need, somebody's attention.
    pub fn is_active(&self) -> bool {
        self.state != AlertState::Resolved
    }

    /// Whether what it was about is over, and nothing is missing but a statement about business records.
    pub fn awaits_records(&self) -> bool {
        self.is_active() && !self.holds && self.records_missing()
    }

    /// Whether a statement about business records is still to be made.
    pub fn records_missing(&self) -> bool {
        self.records_needed && self.records.is_none()
    }

    /// What it is about holds. A resolved alert reopens if it did not hold before; what a person has resolved although
    /// it holds stays so. Any other stays as it is.
    pub fn hold(&mut self, terms: Terms, at: Timestamp) -> Option<AlertEvent> {
        let returned = !self.holds;
        self.holds = true;
        self.severity = terms.severity;
        self.records_needed = terms.records_needed;
        if self.is_active() {
            if returned {
                // It came back before the records of the last time were seen to.
                self.cause = None;
            }
            return None;
        }
        returned.then(|| self.back(at, COLLECTOR))
    }

    /// Something happened that is no state of things: it is over at once, but only a person can say that it was dealt
    /// with.
    pub fn happen(&mut self, terms: Terms, at: Timestamp) -> Option<AlertEvent> {
        self.holds = false;
        let event = self.hold(terms, at);
        self.holds = false;
        event
    }

    /// What it is about holds no longer, or is accepted. It stays active as long as business records are to be seen to,
    /// but not where it is accepted: the app is still there, and so are they.
    pub fn cease(&mut self, cause: Cause, at: Timestamp) -> Option<AlertEvent> {
        let ended = self.holds || self.cause != Some(cause);
        self.holds = false;
        if !self.is_active() {
            return None;
        }
        if self.records_missing() && cause != Cause::Exception {
            self.cause = Some(cause);
            return ended.then(|| self.event(AlertAction::Ceased, at));
        }
        Some(self.close(cause, at, COLLECTOR))
    }

    /// The time for which it was put off is over.
    pub fn wake(&mut self, at: Timestamp) -> Option<AlertEvent> {
        if self.snoozed_until.is_some_and(|until| at < until) { None } else { self.wake_now(at) }
    }

    /// It is not put off any more, whatever was wanted.
    pub fn wake_now(&mut self, at: Timestamp) -> Option<AlertEvent> {
        if self.state != AlertState::Snoozed {
            return None;
        }
        self.state = AlertState::Open;
        self.snoozed_until = None;
        self.changed_at = at;
        Some(self.event(AlertAction::Woke, at))
    }

    /// When a step is to be taken because of its age, if it is one of those that the step is about and the step was not
    /// taken yet.
    pub fn escalates_at(&self, step: &Step) -> Option<Timestamp> {
        let When::Age { after, only_open } = step.when else { return None };
        let concerned = self.is_active() && step.concerns(self.rule.as_ref(), self.severity);
        let waits = !only_open || self.state == AlertState::Open;
        (concerned && waits && !self.escalated.contains(&step.id)).then(|| after.after(self.active_since))
    }

    /// It is carried to others, once for each step.
    pub fn escalate(&mut self, step: &Step, why: String, at: Timestamp) -> Option<AlertEvent> {
        if !self.is_active() || !self.escalated.insert(step.id.clone()) {
            return None;
        }
        let mut event = self.event(AlertAction::Escalated, at);
        event.step = Some(step.id.clone());
        event.why = Some(why);
        event.text = Some(step.to.to_string());
        Some(event)
    }

    pub(super) fn back(&mut self, at: Timestamp, actor: &str) -> AlertEvent {
        self.state = AlertState::Open;
        self.cause = None;
        self.records = None;
        self.reopened = self.reopened.saturating_add(1);
        self.active_since = at;
        self.changed_at = at;
        self.escalated.clear();
        self.event_by(AlertAction::Reopened, at, actor)
    }

    pub(super) fn close(&mut self, cause: Cause, at: Timestamp, actor: &str) -> AlertEvent {
        self.state = AlertState::Resolved;
        self.snoozed_until = None;
        self.cause = Some(cause);
        self.changed_at = at;
        self.event_by(AlertAction::Resolved, at, actor)
    }

    /// The history entry of an action that the facts or time caused.
    pub(super) fn event(&self, action: AlertAction, at: Timestamp) -> AlertEvent {
        self.event_by(action, at, COLLECTOR)
    }

    pub(super) fn event_by(&self, action: AlertAction, at: Timestamp, actor: &str) -> AlertEvent {
        let ends = matches!(action, AlertAction::Resolved | AlertAction::Ceased);
        AlertEvent {
            alert: self.id.clone(),
            at,
            action,
            actor: actor.to_owned(),
            cause: self.cause.filter(|_| ends),
            until: None,
            records: None,
            step: None,
            why: None,
            text: None,
        }
    }
}
