//! Tokens for programs of the organisation: limited in time and in what they may do, revocable at once.
//!
//! A token reads `oca1_<id>_<secret>`; only the hash of the secret is stored, as with enrolment tokens.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use offchannel_shared::digest::hex;
use offchannel_shared::ids::ApiTokenId;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// Random bytes of a token's secret.
pub const SECRET_BYTES: usize = 24;
/// First characters of every token, so that a leaked one is found by scanners.
const PREFIX: &str = "oca1_";

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read the policy.
    PolicyRead,
    /// Read the policy, ask what a change of it would do, and publish it.
    PolicyPublish,
}

impl Right {
    /// All rights.
    pub const ALL: [Self; 2] = [Self::PolicyRead, Self::PolicyPublish];

    /// The name used on the command line and in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyRead => "policy:read",
            Self::PolicyPublish => "policy:publish",
        }
    }

    /// Whether whoever has this right has the other one, too.
    fn includes(self, other: Self) -> bool {
        self == other || (self == Self::PolicyPublish && other == Self::PolicyRead)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected policy:read or policy:publish, found {0:?}")]
pub struct UnknownRight(String);

impl FromStr for Right {
    type Err = UnknownRight;
    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        Self::ALL
            .into_iter()
            .find(|right| right.as_str() == text)
            .ok_or_else(|| UnknownRight(text.to_owned()))
    }
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its public half.
    pub id: ApiTokenId,
    /// SHA-256 of the secret in hexadecimal.
    pub secret_hash: String,
    /// What it is for, in the operator's words.
    pub label: String,
    /// What it may do.
    pub may: Vec<Right>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token may not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiTokenError {
    /// Not of the form of a token.
    #[error("this is not an API token: expected {PREFIX}..., as `token api create` printed it")]
    Malformed,
    /// No such token, or the secret is wrong; which of them is not told.
    #[error("the API token is not known here")]
    Unknown,
    /// Revoked.
    #[error("the API token was revoked at {0}: ask for a new one")]
    Revoked(Timestamp),
    /// Too old.
    #[error("the API token expired at {0}: ask for a new one")]
    Expired(Timestamp),
    /// Good, but not for this.
    #[error("the API token may not do this: it would need the right {0}")]
    Lacks(Right),
}

/// A token as it was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedApiToken {
    /// Its public half.
    pub id: ApiTokenId,
    /// SHA-256 of the secret in hexadecimal.
    secret_hash: String,
}

impl PresentedApiToken {
    /// Reads a token as `token api create` printed it.
    ///
    /// # Errors
    /// [`ApiTokenError::Malformed`].
    pub fn read(text: &str) -> Result<Self, ApiTokenError> {
        let parts = || {
            // The id has an underscore of its own: `api_...`.
            let (kind, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
            let (id, secret) = rest.split_once('_')?;
            let id = ApiTokenId::new(format!("{kind}_{id}")).ok()?;
            let secret = URL_SAFE_NO_PAD.decode(secret).ok()?;
            (secret.len() == SECRET_BYTES).then(|| Self { id, secret_hash: hash(&secret) })
        };
        parts().ok_or(ApiTokenError::Malformed)
    }
}

/// The text that is shown once, and the hash that is stored.
pub fn compose(id: &ApiTokenId, secret: [u8; SECRET_BYTES]) -> (String, String) {
    (format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)), hash(&secret))
}

fn hash(secret: &[u8]) -> String {
    hex(digest(&SHA256, secret).as_ref())
}

impl ApiToken {
    /// Whether whoever presented this may do something now.
    ///
    /// # Errors
    /// [`ApiTokenError`]. Without the right secret nothing is told about the token.
    pub fn permits(
        &self,
        presented: &PresentedApiToken,
        right: Right,
        now: Timestamp,
    ) -> Result<(), ApiTokenError> {
        let same = self.secret_hash.as_bytes().ct_eq(presented.secret_hash.as_bytes());
        if presented.id != self.id || !bool::from(same) {
            return Err(ApiTokenError::Unknown);
        }
        if let Some(at) = self.revoked_at {
            return Err(ApiTokenError::Revoked(at));
        }
        if self.expires_at <= now {
            return Err(ApiTokenError::Expired(self.expires_at));
        }
        if !self.may.iter().any(|had| had.includes(right)) {
            return Err(ApiTokenError::Lacks(right));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn token(may: &[Right]) -> (String, ApiToken) {
        let id = ApiTokenId::from_random([1; 16]);
        let (text, secret_hash) = compose(&id, [7; SECRET_BYTES]);
        let token = ApiToken {
            id,
            secret_hash,
            label: "CI".to_owned(),
            may: may.to_vec(),
            created_at: at(0),
            expires_at: at(100),
            revoked_at: None,
        };
        (text, token)
    }

    #[test]
    fn a_token_does_what_it_may_until_it_ends_or_is_revoked() {
        let (text, mut token) = token(&[Right::PolicyRead]);
        let presented = PresentedApiToken::read(&text).unwrap();
        assert_eq!(token.permits(&presented, Right::PolicyRead, at(99)), Ok(()));
        let lacks = ApiTokenError::Lacks(Right::PolicyPublish);
        assert_eq!(token.permits(&presented, Right::PolicyPublish, at(99)), Err(lacks));
        assert_eq!(
            token.permits(&presented, Right::PolicyRead, at(100)),
            Err(ApiTokenError::Expired(at(100)))
        );
        token.revoked_at = Some(at(50));
        assert_eq!(token.permits(&presented, Right::PolicyRead, at(99)), Err(ApiTokenError::Revoked(at(50))));
        let (other, _) = compose(&token.id, [8; SECRET_BYTES]);
        let other = PresentedApiToken::read(&other).unwrap();
        assert_eq!(token.permits(&other, Right::PolicyRead, at(99)), Err(ApiTokenError::Unknown));
    }

    #[test]
    fn who_may_publish_may_read() {
        let (text, token) = token(&[Right::PolicyPublish]);
        let presented = PresentedApiToken::read(&text).unwrap();
        for right in Right::ALL {
            assert_eq!(token.permits(&presented, right, at(1)), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text: String) {
            let _ = PresentedApiToken::read(&text);
            let _ = PresentedApiToken::read(&format!("{PREFIX}{text}"));
        }
    }
}
