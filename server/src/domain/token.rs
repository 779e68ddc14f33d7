//! Enrolment tokens: limited in uses and time, bound to a place in the organisation, revocable.
//!
//! A token reads `oct1_<id>_<secret>`; only the hash of the secret is stored. The secret has 160 random bits,
//! so a plain SHA-256 is enough (nobody can try them all).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use offchannel_shared::device::Ownership;
use offchannel_shared::digest::hex;
use offchannel_shared::ids::{TokenId, UnitId};
use offchannel_shared::label::Label;
use ring::digest::{SHA256, digest};

/// Random bytes of a token's secret.
pub const SECRET_BYTES: usize = 20;
/// First characters of every token, so that a leaked one is found by scanners.
const PREFIX: &str = "oct1_";

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public half.
    pub id: TokenId,
    /// SHA-256 of the secret in hexadecimal.
    pub secret_hash: String,
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
    /// How many were.
    pub uses: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not of the form of a token.
    #[error("this is not an enrolment token: expected {PREFIX}..., as `token create` printed it")]
    Malformed,
    /// No such token, or the secret is wrong; which of them is not told.
    #[error("the enrolment token is not known here")]
    Unknown,
    /// Revoked.
    #[error("the enrolment token was revoked at {0}: ask for a new one")]
    Revoked(Timestamp),
    /// Too old.
    #[error("the enrolment token expired at {0}: ask for a new one")]
    Expired(Timestamp),
    /// Used up.
    #[error("the enrolment token was used {0} times, as often as it may be: ask for a new one")]
    Spent(u32),
    /// The token may be good, but the device's key is not.
    #[error(
        "the device with this key was retired at {0}: delete the agent's state folder, so that it makes a new key, and enrol it again"
    )]
    KeyRetired(Timestamp),
}

/// A token as it was presented: which one, and the hash of the secret that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its public half.
    pub id: TokenId,
    /// SHA-256 of the secret in hexadecimal.
    pub secret_hash: String,
}

impl Presented {
    /// Reads a token as `token create` printed it.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn read(text: &str) -> Result<Self, TokenError> {
        // The id has an underscore of its own: `tok_...`.
        let rest = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Malformed)?;
        let (kind, rest) = rest.split_once('_').ok_or(TokenError::Malformed)?;
        let (id, secret) = rest.split_once('_').ok_or(TokenError::Malformed)?;
        let id = TokenId::new(format!("{kind}_{id}")).map_err(|_| TokenError::Malformed)?;
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| TokenError::Malformed)?;
        if secret.len() != SECRET_BYTES {
            return Err(TokenError::Malformed);
        }
        Ok(Self { id, secret_hash: hash(&secret) })
    }
}

/// The text that is shown once, and the hash that is stored.
pub fn compose(id: &TokenId, secret: [u8; SECRET_BYTES]) -> (String, String) {
    (format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret)), hash(&secret))
}

fn hash(secret: &[u8]) -> String {
    hex(digest(&SHA256, secret).as_ref())
}

impl Token {
    /// Counts one more use.
    ///
    /// # Errors
    /// [`TokenError`] if it may not be used, or not with this secret.
    pub fn spend(&mut self, presented: &Presented, now: Timestamp) -> Result<(), TokenError> {
        // Both are hashes of high-entropy secrets: how long the comparison takes tells nothing.
        if presented.id != self.id || presented.secret_hash != self.secret_hash {
            return Err(TokenError::Unknown);
        }
        if let Some(at) = self.revoked_at {
            return Err(TokenError::Revoked(at));
        }
        if self.expires_at <= now {
            return Err(TokenError::Expired(self.expires_at));
        }
        if self.uses >= self.max_uses {
            return Err(TokenError::Spent(self.uses));
        }
        self.uses += 1;
        Ok(())
    }
}
