//! Exceptions: asked for, approved by somebody else, refused, ended.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use offchannel_shared::exception_code::ExceptionCode;
use offchannel_shared::ids::ExceptionId;
use offchannel_shared::label::Label;
use offchannel_shared::nearest::nearest;

use super::{Service, ServiceError};
use crate::domain::exception::{Covers, Exception, ExceptionEvent, Request, Standing};
use crate::domain::finding::Finding;
use crate::domain::in_force_exceptions::InForceExceptions;
use crate::random;
use crate::store::{ChangeException, StoreError};

/// An exception with how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionView {
    /// The exception.
    pub exception: Exception,
    /// How it stands at `as_of`.
    pub standing: Standing,
    /// The instant that `standing` is true at.
    pub as_of: Timestamp,
}

/// What is done to an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionChange {
    /// Approved.
    Approve,
    /// Refused, or withdrawn.
    Refuse,
    /// Ended before its time.
    Revoke,
}

impl Service {
    /// Asks for an exception; it accepts nothing before somebody else approves it.
    ///
    /// # Errors
    /// [`ServiceError::Exception`] if it makes no sense, [`ServiceError::Invalid`] if it names what there is not.
    pub async fn request_exception(&self, request: Request, by: &str) -> Result<ExceptionView, ServiceError> {
        let in_force = self.in_force()?;
        if let Some(rule) = &request.rule
            && in_force.policy.rule(rule).is_none()
            && rule.as_str() != offchannel_shared::policy::UNREVIEWED_RULE
        {
            return Err(ServiceError::Invalid(format!("the policy in force has no rule {rule}")));
        }
        match &request.covers {
            Covers::Device(id) if self.0.store.device(id).await?.is_none() => {
                return Err(Self::not_found(id));
            }
            Covers::Unit(id) => {
                self.load_tree().await?;
                if self.tree().get(id).is_none() {
                    return Err(StoreError::NotFound { what: "unit", id: id.to_string() }.into());
                }
            }
            // Devices may come to a person, and labels to devices, when there are none yet.
            Covers::Device(_) | Covers::Person(_) | Covers::Label(_) => {}
        }
        let longest = in_force.policy.exceptions.longest;
        let (exception, event) = Exception::requested(random::id()?, request, by, longest, self.now())?;
        self.0.store.create_exception(exception.clone(), event).await?;
        Ok(self.exception_view(exception))
    }

    /// What of a request is probably a mistake, though it may be right one day: an app that the catalogue does not have, and
    /// people, labels and units that no device has.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn doubts_of(&self, request: &Request) -> Result<Vec<String>, ServiceError> {
        let in_force = self.in_force()?;
        let mut doubts = Vec::new();
        let meant =
            |near: Option<&str>| near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
        if let Some(app) = &request.app
            && in_force.catalogue.app(app.as_str()).is_none()
        {
            let all = in_force.catalogue.apps();
            let near = meant(nearest(app.as_str(), all.iter().map(|app| app.id)));
            doubts.push(format!("the catalogue has no app {:?}{near}", app.as_str()));
        }
        if self.covered_devices(&request.covers).await? == 0 {
            doubts.push(match &request.covers {
                Covers::Device(id) => format!("device {id} is retired"),
                Covers::Unit(id) => format!("unit {id} has no device now"),
                Covers::Person(person) => format!("no device is said to be used by {person} now"),
                Covers::Label(label) => {
                    let labels = self.0.store.labels().await?;
                    let others = labels.iter().filter(|other| *other != label);
                    let near = meant(nearest(label.as_str(), others.map(Label::as_str)));
                    format!("no device has the label {:?} now{near}", label.as_str())
                }
            });
        }
        Ok(doubts)
    }

    /// The finding that a device's user gives the code of.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if there is none, or more than one; the message says what to do.
    pub async fn finding_of_code(&self, code: ExceptionCode) -> Result<Finding, ServiceError> {
        let mut found = self.0.store.findings_with_code(code).await?;
        let more: Vec<String> =
            found.iter().map(|one| format!("{} of {} on {}", one.app, one.rule, one.device)).collect();
        match (found.pop(), more.len()) {
            (Some(finding), 1) => Ok(finding),
            (None, _) => Err(ServiceError::Invalid(format!(
                "no finding has the code {code} now: it may be over, or not yet reported; see `device list`"
            ))),
            (Some(_), _) => Err(ServiceError::Invalid(format!(
                "the code {code} stands for several findings: give --device, --app and --rule for one of {}",
                more.join("; ")
            ))),
        }
    }

    /// Approves, refuses or ends an exception.
    ///
    /// # Errors
    /// [`ServiceError::Exception`], [`ServiceError::Store`], also if there is none.
    pub async fn change_exception(
        &self,
        id: &ExceptionId,
        change: ExceptionChange,
        by: &str,
        note: &str,
    ) -> Result<ExceptionView, ServiceError> {
        let (by, note, now) = (by.to_owned(), note.to_owned(), self.now());
        let longest = self.in_force()?.policy.exceptions.longest;
        let change = move |exception: &mut Exception| match change {
            ExceptionChange::Approve => exception.approve(&by, &note, longest, now),
            ExceptionChange::Refuse => exception.refuse(&by, &note, now),
            ExceptionChange::Revoke => exception.revoke(&by, &note, now),
        };
        let changed = self.0.store.change_exception(id, ChangeException(Arc::new(change)), now).await?;
        self.load_exceptions().await?;
        self.nudge();
        Ok(self.exception_view(changed?))
    }

    /// All exceptions, the last that was asked for first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn exceptions(&self) -> Result<Vec<ExceptionView>, ServiceError> {
        let all = self.0.store.exceptions().await?;
        Ok(all.into_iter().map(|exception| self.exception_view(exception)).collect())
    }

    /// One exception with its history, oldest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn exception(
        &self,
        id: &ExceptionId,
    ) -> Result<(ExceptionView, Vec<ExceptionEvent>), ServiceError> {
        let missing = || StoreError::NotFound { what: "exception", id: id.to_string() };
        let (exception, history) = self.0.store.exception(id).await?.ok_or_else(missing)?;
        Ok((self.exception_view(exception), history))
    }

    /// How many devices that are not retired an exception is for now.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn covered_devices(&self, covers: &Covers) -> Result<u64, ServiceError> {
        Ok(self.0.store.covered_devices(covers).await?)
    }

    /// What devices are judged with.
    pub(super) fn exceptions_in_force(&self) -> Arc<InForceExceptions> {
        Arc::clone(&self.0.exceptions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what is newer than what is held; nearly always that is nothing.
    pub(super) async fn load_exceptions(&self) -> Result<(), ServiceError> {
        let known = self.exceptions_in_force().version();
        let Some(read) = self.0.store.exceptions_in_force(known).await? else { return Ok(()) };
        let mut held = self.0.exceptions.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have read later, and written before.
        if held.version() < read.version() {
            *held = Arc::new(read);
        }
        Ok(())
    }

    fn exception_view(&self, exception: Exception) -> ExceptionView {
        let as_of = self.now();
        ExceptionView { standing: exception.standing(as_of), exception, as_of }
    }
}
