//! What people do to an alert.

use jiff::Timestamp;
use offchannel_shared::span::Span;

use super::super::name::hidden;
use super::{Alert, AlertAction, AlertEvent, AlertState, COLLECTOR, Cause, Records};

/// Longest time for which an alert can be put off: what is put off for ever is an exception, and needs its approval.
pub const SNOOZE_MAX: Span = Span::minutes(90 * 24 * 60);
/// Longest note, in characters.
pub const TEXT_MAX: usize = 4_000;
/// Longest name of a person, in characters.
pub const NAME_MAX: usize = 200;

/// Something that a person does to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Takes it up.
    Acknowledge,
    /// Puts it off.
    Snooze {
        /// Until when.
        until: Timestamp,
    },
    /// Gives it to somebody, or to nobody.
    Assign {
        /// To whom.
        to: Option<String>,
    },
    /// Writes something down.
    Note,
    /// States what became of the business records.
    Record(Records),
    /// Closes it.
    Resolve {
        /// Why.
        cause: Cause,
        /// What became of the business records, if that is stated with it.
        records: Option<Records>,
    },
    /// Opens it again.
    Reopen,
}

/// Why an act is refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such alert.
    #[error("there is no such alert")]
    Unknown,
    /// It is over.
    #[error("the alert is resolved: reopen it first, or leave it")]
    Resolved,
    /// It is not over.
    #[error("the alert is {0}, not resolved")]
    Active(AlertState),
    /// What it was about is over.
    #[error("what the alert is about is not the case any more: it opens by itself when it is again")]
    Over,
    /// What it is about is still the case.
    #[error(
        "what the alert is about is still the case: it resolves by itself when that is over; resolve it as \
         false-positive if it is wrong, or have an exception approved"
    )]
    StillHolds,
    /// Not a cause that a person can give.
    #[error("{0} is not for people to say: it follows from the facts")]
    NotForPeople(&'static str),
    /// Business records are to be seen to.
    #[error(
        "the rule wants business records seen to before the alert closes: state that they were copied to the records \
         system, or that there were none"
    )]
    RecordsMissing,
    /// The rule wants no statement.
    #[error("the alert's rule has no records step")]
    NoRecordsStep,
    /// The end of a snooze.
    #[error("an alert can be put off until an instant between now and {0} from now")]
    Until(Span),
    /// Nothing was written.
    #[error("a note has between 1 and {TEXT_MAX} characters")]
    Text,
    /// Nobody is named.
    #[error("a name has between 1 and {NAME_MAX} characters, all of them seen, and is not {COLLECTOR:?}")]
    Name,
}

impl Alert {
    /// Takes in what a person does. `text` is what that person says with it; a note must have some, a reason to call it
    /// wrong too. Returns the history entries: none if it is as wanted already.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn act(
        &mut self,
        act: &Act,
        by: &str,
        text: Option<&str>,
        at: Timestamp,
    ) -> Result<Vec<AlertEvent>, ActError> {
        check_name(by)?;
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        if text.is_some_and(|text| text.chars().count() > TEXT_MAX) {
            return Err(ActError::Text);
        }
        let mut events = match act {
            Act::Acknowledge => self.acknowledge(by, at)?,
            Act::Snooze { until } => self.snooze(*until, by, at)?,
            Act::Assign { to } => self.assign(to.as_deref(), by, at)?,
            Act::Note if text.is_none() => return Err(ActError::Text),
            Act::Note => vec![self.event_by(AlertAction::Noted, at, by)],
            Act::Record(records) => self.record(*records, by, at)?,
            Act::Resolve { cause: Cause::FalsePositive, .. } if text.is_none() => return Err(ActError::Text),
            Act::Resolve { cause, records } => self.resolve(*cause, *records, by, at)?,
            Act::Reopen => self.reopen(by, at)?,
        };
        if let (Some(first), Some(text)) = (events.first_mut(), text) {
            match &mut first.text {
                Some(said) => *said = format!("{said}: {text}"),
                none @ None => *none = Some(text.to_owned()),
            }
        }
        Ok(events)
    }

    fn must_be_active(&self) -> Result<(), ActError> {
        if self.is_active() { Ok(()) } else { Err(ActError::Resolved) }
    }

    fn acknowledge(&mut self, by: &str, at: Timestamp) -> Result<Vec<AlertEvent>, ActError> {
        self.must_be_active()?;
        if self.state == AlertState::Acknowledged {
            return Ok(Vec::new());
        }
        self.state = AlertState::Acknowledged;
        self.snoozed_until = None;
        self.changed_at = at;
        Ok(vec![self.event_by(AlertAction::Acknowledged, at, by)])
    }

    fn snooze(&mut self, until: Timestamp, by: &str, at: Timestamp) -> Result<Vec<AlertEvent>, ActError> {
        self.must_be_active()?;
        if until <= at || until > SNOOZE_MAX.after(at) {
            return Err(ActError::Until(SNOOZE_MAX));
        }
        if self.snoozed_until == Some(until) {
            return Ok(Vec::new());
        }
        self.state = AlertState::Snoozed;
        self.snoozed_until = Some(until);
        self.changed_at = at;
        let mut event = self.event_by(AlertAction::Snoozed, at, by);
        event.until = Some(until);
        Ok(vec![event])
    }

    fn assign(&mut self, to: Option<&str>, by: &str, at: Timestamp) -> Result<Vec<AlertEvent>, ActError> {
        self.must_be_active()?;
        if let Some(to) = to {
            check_name(to)?;
        }
        if self.assignee.as_deref() == to {
            return Ok(Vec::new());
        }
        self.assignee = to.map(str::to_owned);
        let mut event = self.event_by(AlertAction::Assigned, at, by);
        event.text = Some(to.unwrap_or("nobody").to_owned());
        Ok(vec![event])
    }

    fn record(&mut self, records: Records, by: &str, at: Timestamp) -> Result<Vec<AlertEvent>, ActError> {
        self.must_be_active()?;
        if !self.records_needed {
            return Err(ActError::NoRecordsStep);
        }
        self.records = Some(records);
        let mut event = self.event_by(AlertAction::Recorded, at, by);
        event.records = Some(records);
        let mut events = vec![event];
        // Nothing else kept it open.
        if let (false, Some(cause)) = (self.holds, self.cause) {
            events.push(self.close(cause, at, by));
        }
        Ok(events)
    }

    fn resolve(
        &mut self,
        cause: Cause,
        records: Option<Records>,
        by: &str,
        at: Timestamp,
    ) -> Result<Vec<AlertEvent>, ActError> {
        self.must_be_active()?;
        match cause {
            Cause::FalsePositive => {}
            Cause::Removed if self.holds => return Err(ActError::StillHolds),
            Cause::Removed => {}
            Cause::Exception | Cause::DeviceRetired => return Err(ActError::NotForPeople(cause.as_str())),
        }
        if self.records_missing() && records.is_none() {
            return Err(ActError::RecordsMissing);
        }
        let mut events = Vec::new();
        if let Some(records) = records {
            // It closes with the cause that was given, not with the one that the facts had.
            self.cause = None;
            events = self.record(records, by, at)?;
        }
        events.push(self.close(cause, at, by));
        Ok(events)
    }

    fn reopen(&mut self, by: &str, at: Timestamp) -> Result<Vec<AlertEvent>, ActError> {
        if self.is_active() {
            return Err(ActError::Active(self.state));
        }
        if !self.holds && !self.kind.lasts() {
            return Err(ActError::Over);
        }
        Ok(vec![self.back(at, by)])
    }
}

/// Whether a text can stand for a person in a history.
///
/// # Errors
/// [`ActError::Name`].
pub(crate) fn check_name(name: &str) -> Result<(), ActError> {
    let fits = (1..=NAME_MAX).contains(&name.chars().count());
    if fits && name.trim() == name && !name.chars().any(hidden) && name != COLLECTOR {
        Ok(())
    } else {
        Err(ActError::Name)
    }
}
