//! Exceptions and their history.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ExceptionId;

use super::StoreError;
use crate::domain::exception::{Covers, Exception, ExceptionError, ExceptionEvent};
use crate::domain::in_force_exceptions::InForceExceptions;

/// What is done to an exception, and the entry of its history.
type Change = dyn Fn(&mut Exception) -> Result<ExceptionEvent, ExceptionError> + Send + Sync;

/// Changes an exception. May be called more than once, where a transaction has to be repeated.
#[derive(Clone)]
pub struct ChangeException(pub Arc<Change>);

impl fmt::Debug for ChangeException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeException(..)")
    }
}

/// Exceptions.
#[async_trait]
pub trait ExceptionStore: Send + Sync {
    /// Stores a new exception with the first entry of its history.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn create_exception(&self, exception: Exception, event: ExceptionEvent) -> Result<(), StoreError>;

    /// Changes an exception, adds to its history, and makes every device due at `now` that it may concern, together.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others. That the change is refused is an outcome, not an error.
    async fn change_exception(
        &self,
        id: &ExceptionId,
        change: ChangeException,
        now: Timestamp,
    ) -> Result<Result<Exception, ExceptionError>, StoreError>;

    /// How many devices that are not retired are meant now.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn covered_devices(&self, covers: &Covers) -> Result<u64, StoreError>;

    /// All exceptions, the last that was asked for first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn exceptions(&self) -> Result<Vec<Exception>, StoreError>;

    /// One exception with its history, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn exception(
        &self,
        id: &ExceptionId,
    ) -> Result<Option<(Exception, Vec<ExceptionEvent>)>, StoreError>;

    /// What devices are judged with: every exception that was approved; none if nothing happened to any after the entry
    /// `known` of the history, 0 for the time before the first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn exceptions_in_force(&self, known: u64) -> Result<Option<InForceExceptions>, StoreError>;
}
