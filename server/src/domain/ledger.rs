//! The ledger: every breach that there was, and what those who are accountable have decided about it.
//!
//! An alert stands for one app on one device and comes and goes; the ledger keeps each time, with the unit and the
//! person of then. So counts survive that an alert closes, that a device is retired, given away or moved. Nothing in
//! it is ever changed or removed.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AlertId, AppId, DeviceId, RuleId, UnitId};
use offchannel_shared::policy::{Party, Repetition, Severity, Step, When};
use offchannel_shared::span::Span;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertAction, AlertEvent, AlertKind, COLLECTOR, TEXT_MAX, check_name};
use super::device::Device;
use super::placement::PersonRef;

/// Most alerts that a ruling names.
pub const ALERTS_MAX: usize = 100;

/// That an alert about an app opened or reopened by the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When.
    pub at: Timestamp,
    /// The alert.
    pub alert: AlertId,
    /// The device.
    pub device: DeviceId,
    /// What the alert is about.
    pub kind: AlertKind,
    /// The rule.
    pub rule: Option<RuleId>,
    /// The app.
    pub app: Option<AppId>,
    /// How grave it was then.
    pub severity: Severity,
    /// The unit that the device was in then, and those above it.
    pub units: Vec<UnitId>,
    /// Who used the device then, if that was known.
    pub person: Option<PersonRef>,
    /// Whether the alert had been there before.
    pub returned: bool,
}

/// A breach with its place in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counts up in the order of commits.
    pub sequence: u64,
    /// What happened.
    pub breach: Breach,
}

/// Whose breaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "whose", content = "id")]
pub enum Whose {
    /// A device's.
    Device(DeviceId),
    /// A person's, on whatever device.
    Person(PersonRef),
    /// Those in a unit and in the units that were below it then.
    Unit(UnitId),
}

/// What is counted for a step of escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Whose.
    pub whose: Whose,
    /// Only what happened later than this.
    pub after: Timestamp,
    /// Only this entry and earlier ones: which number an entry has does not depend on when it is asked.
    pub through: u64,
    /// Only what was at least so grave.
    pub severity: Severity,
    /// Only of these rules; of all if empty.
    pub rules: Vec<RuleId>,
}

/// What somebody who is accountable has done about breaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Reminded of the rule.
    Reminded,
    /// Had trained.
    Trained,
    /// Warned formally.
    Warned,
    /// Referred it to leadership or personnel.
    Referred,
    /// Accepted the risk.
    Accepted,
    /// Looked at it and did nothing.
    NoAction,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 6] =
        [Self::Reminded, Self::Trained, Self::Warned, Self::Referred, Self::Accepted, Self::NoAction];

    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reminded => "reminded",
            Self::Trained => "trained",
            Self::Warned => "warned",
            Self::Referred => "referred",
            Self::Accepted => "accepted",
            Self::NoAction => "no-action",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What somebody who is accountable has decided, in the record for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// About whose breaches.
    pub about: Whose,
    /// About which alerts; about all until then if none is named.
    pub alerts: Vec<AlertId>,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who decided.
    pub by: String,
    /// What was done.
    pub measure: Measure,
    /// Why, and what exactly.
    pub text: String,
}

/// Why a ruling is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulingError {
    /// Nobody is named.
    #[error("a person is named by 1 to {} characters, all of them seen", super::alert::NAME_MAX)]
    Name,
    /// Nothing was said.
    #[error("a decision is explained in 1 to {TEXT_MAX} characters")]
    Text,
    /// Too many.
    #[error(
        "a decision names at most {ALERTS_MAX} alerts; without any it is about all that there are until then"
    )]
    Alerts,
}

/// How many breaches somebody had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Whose.
    pub whose: Whose,
    /// How many.
    pub breaches: u64,
    /// On how many devices.
    pub devices: u64,
    /// How many of the alerts are not resolved now.
    pub active: u64,
    /// The last one.
    pub last_at: Timestamp,
    /// What was decided last about it, if anything.
    pub ruling: Option<Ruling>,
}

impl Breach {
    /// The breach that an event is, if it is one: what people reopen was there all the time.
    pub(super) fn of(event: &AlertEvent, alert: &Alert, device: &Device) -> Option<Self> {
        let returned = match event.action {
            AlertAction::Opened => false,
            AlertAction::Reopened => true,
            AlertAction::Ceased
            | AlertAction::Resolved
            | AlertAction::Acknowledged
            | AlertAction::Snoozed
            | AlertAction::Woke
            | AlertAction::Assigned
            | AlertAction::Noted
            | AlertAction::Recorded
            | AlertAction::Escalated => return None,
        };
        (alert.kind.is_about_app() && event.actor == COLLECTOR).then(|| Self {
            at: event.at,
            alert: alert.id.clone(),
            device: device.id.clone(),
            kind: alert.kind,
            rule: alert.rule.clone(),
            app: alert.app.clone(),
            severity: alert.severity,
            units: device.placement.units.clone(),
            person: device.person.clone(),
            returned,
        })
    }

    /// Whose breach it is in the eyes of a step: none if nobody is known.
    fn whose(&self, party: Party) -> Option<Whose> {
        match party {
            Party::Device => Some(Whose::Device(self.device.clone())),
            Party::Person => self.person.clone().map(Whose::Person),
            Party::Unit => self.units.first().cloned().map(Whose::Unit),
        }
    }

    /// Whether it counts as a repetition at all: that an app is missing is nobody's deed.
    pub const fn repeats(kind: AlertKind) -> bool {
        matches!(kind, AlertKind::ProhibitedApp | AlertKind::UnreviewedApp)
    }
}

impl Entry {
    /// What is to be counted to know whether a step is taken with this one.
    pub fn counted(&self, step: &Step) -> Option<(Counted, Repetition)> {
        let When::Repetition(repetition) = step.when else { return None };
        let breach = &self.breach;
        let concerned = Breach::repeats(breach.kind) && step.concerns(breach.rule.as_ref(), breach.severity);
        let whose = breach.whose(repetition.by).filter(|_| concerned)?;
        let counted = Counted {
            whose,
            after: repetition.within.before(breach.at),
            through: self.sequence,
            severity: step.severity,
            rules: step.rules.clone(),
        };
        Some((counted, repetition))
    }
}

impl Whose {
    /// The word for whose it is.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Person(_) => "person",
            Self::Unit(_) => "unit",
        }
    }

    /// Which one.
    pub fn id(&self) -> &str {
        match self {
            Self::Device(id) => id.as_str(),
            Self::Person(person) => person.as_str(),
            Self::Unit(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.word(), self.id())
    }
}

impl Ruling {
    /// Checks and takes a decision.
    ///
    /// # Errors
    /// [`RulingError`].
    pub fn new(
        about: Whose,
        alerts: Vec<AlertId>,
        (measure, text): (Measure, &str),
        by: &str,
        at: Timestamp,
    ) -> Result<Self, RulingError> {
        check_name(by).map_err(|_| RulingError::Name)?;
        let text = text.trim();
        if !(1..=TEXT_MAX).contains(&text.chars().count()) {
            return Err(RulingError::Text);
        }
        if alerts.len() > ALERTS_MAX {
            return Err(RulingError::Alerts);
        }
        Ok(Self { about, alerts, at, by: by.to_owned(), measure, text: text.to_owned() })
    }
}

/// Why a step is taken: `3rd breach in unit sales within 90d`. It goes where alerts go, which a reference to a person
/// does not.
pub fn why(count: u64, whose: &Whose, within: Span) -> String {
    let ending = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    let of = match whose {
        Whose::Device(_) => "on this device".to_owned(),
        Whose::Person(_) => "of the same person".to_owned(),
        Whose::Unit(id) => format!("in unit {id}"),
    };
    format!("{count}{ending} breach {of} within {within}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        let whose = Whose::Person(PersonRef::new("4711").unwrap());
        let said = |count| why(count, &whose, Span::minutes(90 * 24 * 60));
        for (count, start) in [
            (1, "1st"),
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (11, "11th"),
            (12, "12th"),
            (23, "23rd"),
            (113, "113th"),
        ] {
            assert_eq!(said(count), format!("{start} breach of the same person within 90d"));
        }
    }
}
