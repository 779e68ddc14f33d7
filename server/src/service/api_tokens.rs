//! Tokens for programs of the organisation.

use offchannel_shared::ids::ApiTokenId;
use offchannel_shared::span::Span;

use super::{Service, ServiceError};
use crate::domain::api_token::{self, ApiToken, ApiTokenError, PresentedApiToken, Right};
use crate::random;

/// Longest life of a token: a year and a month, so that a yearly renewal has time.
const LIFE_MAX: Span = Span::seconds(396 * 86_400);
/// Longest label, in characters.
const LABEL_MAX: usize = 100;

/// A token that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenRequest {
    /// What it is for. What it publishes is said to be by this.
    pub label: String,
    /// What it may do.
    pub may: Vec<Right>,
    /// How long it lasts.
    pub life: Span,
}

/// A new token. Its text is shown once and never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// What is stored.
    pub token: ApiToken,
    /// What programs present.
    pub text: String,
}

impl std::fmt::Debug for NewApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewApiToken({})", self.token.id)
    }
}

impl Service {
    /// Makes a token for a program.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for what makes no sense, and others.
    pub async fn create_api_token(&self, request: ApiTokenRequest) -> Result<NewApiToken, ServiceError> {
        let invalid = |why: String| Err(ServiceError::Invalid(why));
        let label = request.label.trim();
        if label.is_empty() || label.chars().count() > LABEL_MAX {
            return invalid(format!(
                "the label must have 1 to {LABEL_MAX} characters: it stands in the history"
            ));
        }
        let mut may = request.may;
        may.sort_unstable();
        may.dedup();
        if may.is_empty() {
            return invalid("a token needs at least one right".to_owned());
        }
        if request.life == Span::ZERO || request.life > LIFE_MAX {
            return invalid(format!(
                "a token lasts at least 1s and at most {LIFE_MAX}, not {}",
                request.life
            ));
        }
        let now = self.now();
        let id = random::id()?;
        let (text, secret_hash) = api_token::compose(&id, random::bytes()?);
        let token = ApiToken {
            id,
            secret_hash,
            label: label.to_owned(),
            may,
            created_at: now,
            expires_at: request.life.after(now),
            revoked_at: None,
        };
        self.0.store.create_api_token(token.clone()).await?;
        Ok(NewApiToken { token, text })
    }

    /// All tokens for programs, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, ServiceError> {
        Ok(self.0.store.api_tokens().await?)
    }

    /// Revokes a token: the next request with it is refused.
    ///
    /// # Errors
    /// [`ServiceError::Store`], also if there is none.
    pub async fn revoke_api_token(&self, id: &ApiTokenId) -> Result<ApiToken, ServiceError> {
        Ok(self.0.store.revoke_api_token(id, self.now()).await?)
    }

    /// The token that a program presents, if it may do this now. Read from the store each time, so that one that was
    /// revoked is refused from then on.
    ///
    /// # Errors
    /// [`ServiceError::ApiToken`] if it may not, and [`ServiceError::Store`].
    pub async fn permit(&self, text: &str, right: Right) -> Result<ApiToken, ServiceError> {
        let presented = PresentedApiToken::read(text).map_err(ServiceError::ApiToken)?;
        let token = self.0.store.api_token(&presented.id).await?;
        let token = token.ok_or(ServiceError::ApiToken(ApiTokenError::Unknown))?;
        token.permits(&presented, right, self.now()).map_err(ServiceError::ApiToken)?;
        Ok(token)
    }
}
