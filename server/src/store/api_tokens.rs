//! Tokens for programs of the organisation.

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::ApiTokenId;

use super::StoreError;
use crate::domain::api_token::ApiToken;

/// Tokens for programs of the organisation.
#[async_trait]
pub trait ApiTokenStore: Send + Sync {
    /// Stores a new token.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn create_api_token(&self, token: ApiToken) -> Result<(), StoreError>;

    /// All tokens, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// The token with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn api_token(&self, id: &ApiTokenId) -> Result<Option<ApiToken>, StoreError>;

    /// Revokes a token; one that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others.
    async fn revoke_api_token(&self, id: &ApiTokenId, now: Timestamp) -> Result<ApiToken, StoreError>;
}
