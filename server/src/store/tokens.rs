//! Enrolment tokens.

use async_trait::async_trait;
use jiff::Timestamp;
use offchannel_shared::ids::TokenId;

use super::StoreError;
use crate::domain::token::Token;

/// Enrolment tokens. They are spent by [`super::DeviceStore::enrol`].
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Stores a new token.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn create_token(&self, token: Token) -> Result<(), StoreError>;

    /// All tokens, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn tokens(&self) -> Result<Vec<Token>, StoreError>;

    /// Revokes a token; one that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and others.
    async fn revoke_token(&self, id: &TokenId, now: Timestamp) -> Result<Token, StoreError>;
}
