//! What can go wrong inside a command, before it is known what the caller asked for.

use std::error::Error;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why a command or a query failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite, or a row that does not hold what it should.
    Database(rusqlite::Error),
    /// The rules of the store.
    Store(StoreError),
}

impl Failure {
    /// The error for the caller, who wanted `doing`.
    pub(super) fn into_error(self, doing: &'static str) -> StoreError {
        match self {
            Self::Database(error) if is_full(&error) => StoreError::Full,
            Self::Database(error) if is_busy(&error) => StoreError::Busy,
            Self::Database(error) => StoreError::Failed { doing, source: Box::new(error) },
            Self::Store(error) => error,
        }
    }

    /// A thing that is not there.
    pub(super) fn not_found(what: &'static str, id: &impl ToString) -> Self {
        Self::Store(StoreError::NotFound { what, id: id.to_string() })
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Whether there was no room for what was to be written.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Whether another program held the database for longer than it is waited for.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Why a whole batch failed; every command in it is answered with this.
pub(super) type Cause = std::sync::Arc<dyn Error + Send + Sync>;
