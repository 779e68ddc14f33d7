//! Policy versions, and what becomes one.

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::{DeviceId, DraftId};

use super::StoreError;
use crate::domain::case::Case;
use crate::domain::policy_draft::Draft;
use crate::domain::published::PolicyVersion;

/// Policy versions; what published ones say is never changed.
///
/// In force is the newest version that has taken force: at its publication, or, if it is to later, once
/// [`PolicyStore::take_force`] has found that its time has come. So the version in force only ever grows, whatever a
/// clock does.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Stores the next version. If it takes force at once, every device is made due at its publication, together
    /// with it.
    ///
    /// `policy.version` is ignored and given anew; the stored version is returned. With `expected` it fails unless
    /// that is the newest version that was not cancelled (0 for none).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and others.
    async fn publish(
        &self,
        policy: PolicyVersion,
        expected: Option<u64>,
    ) -> Result<PolicyVersion, StoreError>;

    /// As [`PolicyStore::publish`], and deletes the draft that it is made of.
    ///
    /// # Errors
    /// Also [`StoreError::NotFound`] if the draft is gone; nothing is published then.
    async fn publish_draft(
        &self,
        draft: &DraftId,
        policy: PolicyVersion,
        expected: Option<u64>,
    ) -> Result<PolicyVersion, StoreError>;

    /// One version, or the newest that was not cancelled.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn policy(&self, version: Option<u64>) -> Result<Option<PolicyVersion>, StoreError>;

    /// The version in force.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn policy_in_force(&self) -> Result<Option<PolicyVersion>, StoreError>;

    /// All versions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn policies(&self) -> Result<Vec<PolicyVersion>, StoreError>;

    /// Puts the newest version in force whose time has come, if it is newer than the one in force, and makes every device
    /// due at `now`, together. Of many that call at once one does it; the others are told `None`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn take_force(&self, now: Timestamp) -> Result<Option<PolicyVersion>, StoreError>;

    /// Cancels a version that has not taken force yet. One that has, never will, or was cancelled stays as it is; how
    /// it is now is returned, and whether this has changed it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others.
    async fn cancel_policy(
        &self,
        version: u64,
        by: &str,
        now: Timestamp,
    ) -> Result<(PolicyVersion, bool), StoreError>;

    /// Stores a draft or proposal. It takes the place of a draft, but not of a proposal, of the same name, if it has
    /// one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn save_draft(&self, draft: Draft) -> Result<(), StoreError>;

    /// All drafts and proposals, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn drafts(&self) -> Result<Vec<Draft>, StoreError>;

    /// One draft or proposal.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn draft(&self, id: &DraftId) -> Result<Option<Draft>, StoreError>;

    /// Deletes a draft or proposal; returns what it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others.
    async fn delete_draft(&self, id: &DraftId) -> Result<Draft, StoreError>;

    /// What is known of active devices, without their alerts: those sorted by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn cases(&self, after: Option<&DeviceId>, limit: u32) -> Result<Vec<Case>, StoreError>;
}
