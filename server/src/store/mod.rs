//! Where the collector keeps what it knows: one trait for each kind of thing, two implementations
//! behind them in the end, one so far.
//!
//! Methods are whole decisions: no caller ever sees a transaction, and a change commits together
//! with everything that it causes. What a method returns `Ok` for is on disk.

mod alerts;
mod api_tokens;
mod deliveries;
mod devices;
mod exceptions;
mod ledger;
mod policies;
pub mod sqlite;
mod tokens;
mod units;

use std::fmt::Debug;

use async_trait::async_trait;

pub use alerts::{AlertFilter, AlertRecord, AlertStore, DecideSubject, RecordedEvent};
pub use api_tokens::ApiTokenStore;
pub use deliveries::{DeliveryFilter, DeliveryStore};
pub use devices::{
    Decide, DecideOutcome, DeviceStore, DeviceSummary, Enrolled, History, Seen, SightingInterval,
};
pub use exceptions::{ChangeException, ExceptionStore};
pub use ledger::{Followed, LedgerFilter, LedgerStore};
pub use policies::PolicyStore;
pub use tokens::TokenStore;
pub use units::{Assign, PlanRefused, Reorganise, UnitStore};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// Somebody else changed it first.
    #[error("{what} was changed meanwhile: expected version {expected}, found {found}")]
    Conflict {
        /// The kind of thing.
        what: &'static str,
        /// The version that the caller knew.
        expected: u64,
        /// The version there is.
        found: u64,
    },
    /// The database was made by a newer program.
    #[error(
        "the database {database} has schema version {found}, this program knows versions up to {known}: use the program that wrote it, or a newer one"
    )]
    Newer {
        /// Where it is.
        database: String,
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The database cannot be opened or made.
    #[error("cannot open the database {path}")]
    Open {
        /// Where it is, or was to be.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no room on the disk; it can be tried again when there is.
    #[error("the disk of the database is full")]
    Full,
    /// Another program holds the database; it can be tried again.
    #[error("another program kept the database busy for too long")]
    Busy,
    /// The database failed at something.
    #[error("the database failed to {doing}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the database is closed")]
    Closed,
}

/// Everything that the collector stores.
#[async_trait]
pub trait Store:
    AlertStore
    + ApiTokenStore
    + DeliveryStore
    + DeviceStore
    + ExceptionStore
    + LedgerStore
    + PolicyStore
    + TokenStore
    + UnitStore
    + Debug
{
    /// Whether the store answers; for readiness.
    ///
    /// # Errors
    /// [`StoreError`] if it does not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether another process has committed something since the last call; what this process
    /// caches is then to be read anew.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn changed_elsewhere(&self) -> Result<bool, StoreError>;

    /// A number that grows when another process says that it has committed something. It says so before it tells its
    /// own caller, so that a request that comes after an admin command ended can know of it. Cheap: every
    /// request asks.
    fn announced(&self) -> u64;

    /// Writes everything out and closes; later calls fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] if something could not be written.
    async fn close(&self) -> Result<(), StoreError>;
}
