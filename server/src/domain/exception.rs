//! Exceptions: findings that are accepted for a time, asked for by one person and approved by another.
//!
//! One that has ended is kept for ever, with everything that was done to it. An exception accepts nothing before it was
//! approved, whatever start it was asked for with.

use std::fmt;

use jiff::Timestamp;
use offchannel_shared::ids::{AppId, DeviceId, ExceptionId, RuleId, UnitId};
use offchannel_shared::label::Label;
use offchannel_shared::policy;
use offchannel_shared::span::Span;
use serde::{Deserialize, Serialize};

use super::alert::check_name;
use super::name::same_person;
use super::placement::PersonRef;

/// Longest reason or note, in characters.
pub const REASON_MAX: usize = 4_000;

/// What an exception is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "id")]
pub enum Covers {
    /// One device.
    Device(DeviceId),
    /// All devices of a unit and of those below it.
    Unit(UnitId),
    /// All devices that a person uses.
    Person(PersonRef),
    /// All devices with a label.
    Label(Label),
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device {id}"),
            Self::Unit(id) => write!(f, "unit {id}"),
            Self::Person(person) => write!(f, "person {person}"),
            Self::Label(label) => write!(f, "label {label}"),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is for.
    pub covers: Covers,
    /// The rule that it waives; every rule if not given, but then an app is.
    pub rule: Option<RuleId>,
    /// The app that it accepts; every app if not given, but then a rule is.
    pub app: Option<AppId>,
    /// Why.
    pub reason: String,
    /// From when on.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
}

impl Request {
    /// What is past of it accepts nothing, and does not count.
    fn must_fit(&self, longest: Span, at: Timestamp) -> Result<(), ExceptionError> {
        let fits = self.end <= longest.after(self.start.max(at));
        if fits { Ok(()) } else { Err(ExceptionError::Long(longest)) }
    }
}

/// An exception, asked for, approved, refused or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its id.
    pub id: ExceptionId,
    /// What was asked for.
    pub request: Request,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// Who approved it, and when, if it was.
    pub approved: Option<Signed>,
    /// Who ended it before its time, if somebody did: refused, withdrawn or revoked.
    pub ended: Option<Signed>,
}

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Where an exception stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Waits for somebody who approves or refuses it.
    Requested,
    /// Waited for that until its end was over.
    Lapsed,
    /// Was refused, or withdrawn by whoever asked.
    Refused,
    /// Approved, not begun.
    Scheduled,
    /// In force.
    Active,
    /// Its time is over.
    Ended,
    /// Was approved, and ended before its time.
    Revoked,
}

impl Standing {
    /// The name used in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Lapsed => "lapsed",
            Self::Refused => "refused",
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What happened to an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExceptionAction {
    /// It was asked for.
    Requested,
    /// It was approved.
    Approved,
    /// It was refused, or withdrawn.
    Refused,
    /// It was ended before its time.
    Revoked,
}

impl ExceptionAction {
    /// All actions.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Approved, Self::Refused, Self::Revoked];

    /// The name used in histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
        }
    }
}

/// One entry of an exception's history; never changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionEvent {
    /// The exception.
    pub exception: ExceptionId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: ExceptionAction,
    /// Who.
    pub actor: String,
    /// What was said with it.
    pub text: String,
}

/// Why something that is wanted of an exception is refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExceptionError {
    /// Nobody is named.
    #[error("a person is named by 1 to {} characters, all of them seen", super::alert::NAME_MAX)]
    Name,
    /// No reason, or a very long one.
    #[error("a reason has between 1 and {REASON_MAX} characters")]
    Reason,
    /// It would accept everything.
    #[error("an exception names a rule, an app or both: it does not accept everything")]
    Everything,
    /// The end.
    #[error("an exception ends after it starts, and not in the past")]
    End,
    /// Too long.
    #[error("the policy allows exceptions of at most {0}")]
    Long(Span),
    /// Approved by whoever asked.
    #[error("{0} asked for it: somebody else approves it")]
    OwnRequest(String),
    /// It does not wait for anybody.
    #[error("the exception is {0}, and waits for nobody")]
    NotWaiting(Standing),
    /// It is over.
    #[error("the exception is {0}: there is nothing to end")]
    Over(Standing),
}

impl Exception {
    /// What is asked for, if it makes sense, with its history entry.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn requested(
        id: ExceptionId,
        mut request: Request,
        by: &str,
        longest: Span,
        at: Timestamp,
    ) -> Result<(Self, ExceptionEvent), ExceptionError> {
        check_name(by).map_err(|_| ExceptionError::Name)?;
        request.reason = said(&request.reason)?;
        if request.rule.is_none() && request.app.is_none() {
            return Err(ExceptionError::Everything);
        }
        if request.end <= request.start || request.end <= at {
            return Err(ExceptionError::End);
        }
        request.must_fit(longest, at)?;
        let reason = request.reason.clone();
        let exception =
            Self { id, request, requested_by: by.to_owned(), requested_at: at, approved: None, ended: None };
        let event = exception.event(ExceptionAction::Requested, by, &reason, at);
        Ok((exception, event))
    }

    /// Where it stands.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match (&self.approved, &self.ended) {
            (None, Some(_)) => Standing::Refused,
            (Some(_), Some(_)) => Standing::Revoked,
            (None, None) if self.request.end <= now => Standing::Lapsed,
            (None, None) => Standing::Requested,
            (Some(_), None) if self.request.end <= now => Standing::Ended,
            (Some(_), None) if now < self.request.start => Standing::Scheduled,
            (Some(_), None) => Standing::Active,
        }
    }

    /// Somebody else approves it. The policy may allow less by now than when it was asked for.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn approve(
        &mut self,
        by: &str,
        note: &str,
        longest: Span,
        at: Timestamp,
    ) -> Result<ExceptionEvent, ExceptionError> {
        check_name(by).map_err(|_| ExceptionError::Name)?;
        self.must_wait(at)?;
        if same_person(by, &self.requested_by) {
            return Err(ExceptionError::OwnRequest(self.requested_by.clone()));
        }
        self.request.must_fit(longest, at)?;
        self.approved = Some(Signed { by: by.to_owned(), at });
        Ok(self.event(ExceptionAction::Approved, by, note, at))
    }

    /// It is refused, or withdrawn.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn refuse(&mut self, by: &str, note: &str, at: Timestamp) -> Result<ExceptionEvent, ExceptionError> {
        check_name(by).map_err(|_| ExceptionError::Name)?;
        self.must_wait(at)?;
        let note = said(note)?;
        self.ended = Some(Signed { by: by.to_owned(), at });
        Ok(self.event(ExceptionAction::Refused, by, &note, at))
    }

    /// It is ended before its time.
    ///
    /// # Errors
    /// [`ExceptionError`].
    pub fn revoke(&mut self, by: &str, note: &str, at: Timestamp) -> Result<ExceptionEvent, ExceptionError> {
        check_name(by).map_err(|_| ExceptionError::Name)?;
        let note = said(note)?;
        match self.standing(at) {
            Standing::Scheduled | Standing::Active => {}
            other @ (Standing::Requested
            | Standing::Lapsed
            | Standing::Refused
            | Standing::Ended
            | Standing::Revoked) => return Err(ExceptionError::Over(other)),
        }
        self.ended = Some(Signed { by: by.to_owned(), at });
        Ok(self.event(ExceptionAction::Revoked, by, &note, at))
    }

    /// Whether it is time to look whether it is still needed: it accepts something now, and ends within this time. A short one
    /// is looked at when half of it is over.
    pub fn is_to_be_reviewed(&self, within: Span, now: Timestamp) -> bool {
        let Some(judged) = self.judged().filter(|_| self.standing(now) == Standing::Active) else {
            return false;
        };
        let half = judged.end.duration_since(judged.start).as_secs() / 2;
        let within = u32::try_from(half).map_or(within, |half| within.min(Span::seconds(half)));
        judged.end <= within.after(now)
    }

    /// What is told where it is to be reviewed.
    pub fn review(&self) -> String {
        let Request { covers, rule, app, reason, end, .. } = &self.request;
        let app = app.as_ref().map(|app| format!(" {app}")).unwrap_or_default();
        let rule = rule.as_ref().map(|rule| format!(" (rule {rule})")).unwrap_or_default();
        // Who it is stays with the collector.
        let covers = match covers {
            Covers::Person(_) => "all devices of a person".to_owned(),
            Covers::Device(_) | Covers::Unit(_) | Covers::Label(_) => covers.to_string(),
        };
        let approved =
            self.approved.as_ref().map(|signed| format!(", approved by {}", signed.by)).unwrap_or_default();
        format!(
            "{} accepts{app}{rule} for {covers} until {end}; asked for by {}{approved}: {reason}",
            self.id, self.requested_by
        )
    }

    /// What judging needs of it: the time in which it accepts something, if there is one.
    pub fn judged(&self) -> Option<policy::Exception> {
        let approved = self.approved.as_ref()?;
        let start = self.request.start.max(approved.at);
        let end = self.ended.as_ref().map_or(self.request.end, |ended| self.request.end.min(ended.at));
        let Request { rule, app, .. } = &self.request;
        (start < end).then(|| policy::Exception {
            id: self.id.clone(),
            rule: rule.clone(),
            app: app.clone(),
            start,
            end,
        })
    }

    fn must_wait(&self, at: Timestamp) -> Result<(), ExceptionError> {
        match self.standing(at) {
            Standing::Requested => Ok(()),
            other @ (Standing::Lapsed
            | Standing::Refused
            | Standing::Scheduled
            | Standing::Active
            | Standing::Ended
            | Standing::Revoked) => Err(ExceptionError::NotWaiting(other)),
        }
    }

    fn event(&self, action: ExceptionAction, by: &str, text: &str, at: Timestamp) -> ExceptionEvent {
        let text = text.trim().chars().take(REASON_MAX).collect();
        ExceptionEvent { exception: self.id.clone(), at, action, actor: by.to_owned(), text }
    }
}

fn said(text: &str) -> Result<String, ExceptionError> {
    let text = text.trim();
    let fits = (1..=REASON_MAX).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err(ExceptionError::Reason) }
}
