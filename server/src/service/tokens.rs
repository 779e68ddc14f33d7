//! Enrolment tokens.

use std::collections::BTreeSet;

use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{TokenId, UnitId};
use offchannel_shared::label::{LABELS_MAX, Label};
use offchannel_shared::span::Span;

use super::{Service, ServiceError};
use crate::domain::token::{self, Token};
use crate::random;

/// Longest label, in characters.
const LABEL_MAX: usize = 200;
/// Longest life of a token.
const LIFE_MAX: Span = Span::seconds(366 * 86_400);

/// What a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// What it is for, in the operator's words.
    pub label: String,
    /// Who owns the devices that use it.
    pub ownership: Ownership,
    /// The unit that they belong to.
    pub unit: Option<UnitId>,
    /// The labels that they carry.
    pub labels: BTreeSet<Label>,
    /// How many devices may be enrolled with it.
    pub max_uses: u32,
    /// How long it lasts.
    pub life: Span,
}

/// A new token. Its text is shown once and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What is stored.
    pub token: Token,
    /// What agents present.
    pub text: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewToken({})", self.token.id)
    }
}

impl Service {
    /// Makes an enrolment token.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for limits that make no sense, and others.
    pub async fn create_token(&self, request: TokenRequest) -> Result<NewToken, ServiceError> {
        let invalid = |why: String| Err(ServiceError::Invalid(why));
        if request.label.chars().count() > LABEL_MAX {
            return invalid(format!("the label is longer than {LABEL_MAX} characters"));
        }
        if request.max_uses == 0 {
            return invalid("a token needs at least one use".to_owned());
        }
        if request.life == Span::ZERO || request.life > LIFE_MAX {
            return invalid(format!(
                "a token lasts at least 1s and at most {LIFE_MAX}, not {}",
                request.life
            ));
        }
        if request.labels.len() > LABELS_MAX {
            return invalid(format!("a device carries at most {LABELS_MAX} labels"));
        }
        if let Some(unit) = &request.unit {
            self.units().await?.find(unit).map_err(|missing| ServiceError::Plan(missing.into()))?;
        }
        let now = self.now();
        let id = random::id()?;
        let (text, secret_hash) = token::compose(&id, random::bytes()?);
        let token = Token {
            id,
            secret_hash,
            label: request.label,
            ownership: request.ownership,
            unit: request.unit,
            labels: request.labels,
            max_uses: request.max_uses,
            uses: 0,
            created_at: now,
            expires_at: request.life.after(now),
            revoked_at: None,
        };
        self.0.store.create_token(token.clone()).await?;
        Ok(NewToken { token, text })
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn tokens(&self) -> Result<Vec<Token>, ServiceError> {
        Ok(self.0.store.tokens().await?)
    }

    /// Revokes a token: no further device enrols with it. Those that have stay enrolled.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<Token, ServiceError> {
        Ok(self.0.store.revoke_token(id, self.now()).await?)
    }
}
