//! The ledger of breaches, and what was decided about them. Entries are written by [`super::DeviceStore::decide`].

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::policy::Party;

use super::StoreError;
use crate::domain::ledger::{Counted, Entry, Ruling, Tally, Whose};
use crate::domain::surge::Group;

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerFilter {
    /// Only this one's.
    pub whose: Option<Whose>,
    /// Only those at this instant or later.
    pub since: Option<Timestamp>,
    /// Only those before this instant.
    pub until: Option<Timestamp>,
    /// At most so many; 0 for all.
    pub limit: u32,
}

/// What came after a place in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Those whose alert is still the case that opened with them, oldest first.
    pub entries: Vec<Entry>,
    /// Up to where it was looked.
    pub through: u64,
}

/// The ledger.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Entries, the last first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn ledger(&self, filter: LedgerFilter) -> Result<Vec<Entry>, StoreError>;

    /// The entries after a place whose alert is not resolved and has not reopened since, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn follow_ledger(&self, after: u64, limit: u32) -> Result<Followed, StoreError>;

    /// How many breaches there were; what a missing app is does not count.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn count_breaches(&self, counted: Counted) -> Result<u64, StoreError>;

    /// New breaches since an instant, by the units that they happened in: each app counts once on each device, and what a missing
    /// app is does not count.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn breach_groups(&self, since: Timestamp) -> Result<Vec<Group>, StoreError>;

    /// How many breaches each had, the most first. Units count with those below them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn tally(&self, party: Party, filter: LedgerFilter) -> Result<Vec<Tally>, StoreError>;

    /// Keeps a decision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is about something that is not there.
    async fn rule(&self, ruling: Ruling) -> Result<(), StoreError>;

    /// Decisions, the last first: all, or those about one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rulings(&self, about: Option<Whose>) -> Result<Vec<Ruling>, StoreError>;
}
