//! Policy versions.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::published::PolicyVersion;

/// Policy versions; published ones are never changed.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Stores the next version and makes every device due at its publication, together.
    ///
    /// `policy.version` is ignored and given anew; the stored version is returned. With `expected`
    /// it fails unless that is the newest version (0 for none).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and others.
    async fn publish(
        &self,
        policy: PolicyVersion,
        expected: Option<u64>,
    ) -> Result<PolicyVersion, StoreError>;

    /// One version, or the newest.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn policy(&self, version: Option<u64>) -> Result<Option<PolicyVersion>, StoreError>;

    /// All versions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn policies(&self) -> Result<Vec<PolicyVersion>, StoreError>;
}
